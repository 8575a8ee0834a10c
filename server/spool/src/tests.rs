//! Tests of reader and writer together.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Cursor, Entry, Reader, Writer, segments};

fn entry(n: i64) -> Entry {
    Entry { at_us: n, kind: b'o', text: format!("line {n}").into_bytes() }
}

fn write(dir: &Path, segment_bytes: u64, numbers: std::ops::Range<i64>) {
    let mut writer = Writer::open(dir, segment_bytes).unwrap();
    for n in numbers {
        writer.append(&entry(n)).unwrap();
    }
}

fn numbers(entries: Vec<Entry>) -> Vec<i64> {
    entries.iter().map(|e| e.at_us).collect()
}

fn tear(dir: &Path, bytes: &[u8]) {
    let last = *segments::list(dir).unwrap().last().unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(segments::path(dir, last)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let entries = vec![
        Entry { at_us: -5, kind: b'e', text: vec![0, 255, b' ', b'\r'] },
        Entry { at_us: i64::MAX, kind: b'r', text: Vec::new() },
        Entry { at_us: 7, kind: b's', text: b"a b  c".to_vec() },
    ];
    let mut writer = Writer::open(dir.path(), 1000).unwrap();
    for e in &entries {
        writer.append(e).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(Reader::new(dir.path(), Cursor::default()).read(10).unwrap(), entries);
}

#[test]
fn a_line_feed_inside_a_text_does_not_make_a_second_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), 1000).unwrap();
    writer.append(&Entry { at_us: 1, kind: b'o', text: b"a\n2 o b".to_vec() }).unwrap();
    drop(writer);
    let read = Reader::new(dir.path(), Cursor::default()).read(10).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].text, b"a 2 o b");
}

#[test]
fn half_a_line_is_not_returned_until_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1000, 0..2);
    tear(dir.path(), b"2 o li");
    let mut reader = Reader::new(dir.path(), Cursor::default());
    assert_eq!(numbers(reader.read(10).unwrap()), [0, 1]);
    let cursor = reader.cursor();
    assert!(reader.read(10).unwrap().is_empty());
    assert_eq!(reader.cursor(), cursor);
    tear(dir.path(), b"ne 2\n");
    assert_eq!(reader.read(10).unwrap(), [entry(2)]);
}

#[test]
fn a_torn_last_line_harms_no_other() {
    for torn in [&b"2 o li"[..], b"2", b"2 o", b"garbage"] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1000, 0..2);
        tear(dir.path(), torn);
        write(dir.path(), 1000, 3..5);
        let read = Reader::new(dir.path(), Cursor::default()).read(10).unwrap();
        let whole: Vec<i64> = numbers(read).into_iter().filter(|n| *n != 2).collect();
        assert_eq!(whole, [0, 1, 3, 4]);
    }
}

#[test]
fn a_torn_line_before_a_later_segment_is_passed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1000, 0..2);
    tear(dir.path(), b"17");
    let next = segments::list(dir.path()).unwrap()[0] + 1;
    std::fs::write(segments::path(dir.path(), next), b"3 o line 3\n").unwrap();
    let read = Reader::new(dir.path(), Cursor::default()).read(10).unwrap();
    assert_eq!(numbers(read), [0, 1, 3]);
}

#[test]
fn segments_follow_one_another_and_a_reader_resumes_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 100, 0..100);
    write(dir.path(), 100, 100..200);
    assert!(segments::list(dir.path()).unwrap().len() > 10);
    let mut cursor = Cursor::default();
    let mut all = Vec::new();
    loop {
        let mut reader = Reader::new(dir.path(), cursor);
        let read = reader.read(7).unwrap();
        if read.is_empty() {
            break;
        }
        all.extend(numbers(read));
        assert!(reader.cursor() > cursor);
        cursor = reader.cursor();
    }
    assert_eq!(all, (0..200).collect::<Vec<i64>>());
}

#[test]
fn each_entry_comes_with_the_place_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 100, 0..50);
    let all = Reader::new(dir.path(), Cursor::default()).read_placed(100).unwrap();
    for (n, (place, _)) in all.iter().enumerate() {
        let rest = Reader::new(dir.path(), *place).read(100).unwrap();
        assert_eq!(numbers(rest), (n as i64 + 1..50).collect::<Vec<i64>>());
    }
}

#[test]
fn consumed_segments_are_deleted_and_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 100, 0..100);
    let mut reader = Reader::new(dir.path(), Cursor::default());
    assert_eq!(reader.read(50).unwrap().len(), 50);
    reader.forget_consumed().unwrap();
    assert_eq!(segments::list(dir.path()).unwrap()[0], reader.cursor().segment);
    assert_eq!(numbers(reader.read(500).unwrap()), (50..100).collect::<Vec<i64>>());
    reader.forget_consumed().unwrap();
    assert_eq!(segments::list(dir.path()).unwrap().len(), 1);
    write(dir.path(), 100, 100..110);
    assert_eq!(numbers(reader.read(500).unwrap()), (100..110).collect::<Vec<i64>>());
}

#[test]
fn what_is_discarded_is_deleted_unread_except_for_the_newest_segment() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(dir.path(), Cursor::default());
    reader.discard().unwrap();
    write(dir.path(), 100, 0..100);
    assert_eq!(reader.read(5).unwrap().len(), 5);
    reader.discard().unwrap();
    let left = segments::list(dir.path()).unwrap();
    assert_eq!((left.len(), reader.cursor()), (1, Cursor { segment: left[0], offset: 0 }));
    // Again, and in the middle of the newest segment, it changes nothing.
    let rest = numbers(reader.read(500).unwrap());
    assert!((1..20).contains(&rest.len()) && rest.last() == Some(&99), "{rest:?}");
    let cursor = reader.cursor();
    reader.discard().unwrap();
    assert_eq!((reader.cursor(), segments::list(dir.path()).unwrap()), (cursor, left));
    // A second reader whose position was before it continues after it.
    let mut slow = Reader::new(dir.path(), Cursor::default());
    write(dir.path(), 100, 100..150);
    assert_eq!(slow.read(3).unwrap().len(), 3);
    reader.discard().unwrap();
    let rest = numbers(slow.read(500).unwrap());
    assert!(rest.last() == Some(&149) && rest.is_sorted(), "{rest:?}");
}

#[test]
fn an_unread_spool_stays_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut slow = Reader::new(dir.path(), Cursor::default());
    let mut writer = Writer::open(dir.path(), 100).unwrap().limited_to(500);
    for n in 0..5 {
        writer.append(&entry(n)).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(slow.read(3).unwrap().len(), 3);
    for n in 5..1000 {
        writer.append(&entry(n)).unwrap();
    }
    writer.flush().unwrap();
    assert!(segments::list(dir.path()).unwrap().len() < 8);
    let rest = numbers(slow.read(2000).unwrap());
    assert_eq!(rest.last(), Some(&999));
    assert!(rest.is_sorted());
}

#[test]
fn a_recreated_spool_is_read_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1000, 0..3);
    let mut reader = Reader::new(dir.path(), Cursor::default());
    assert_eq!(reader.read(10).unwrap().len(), 3);
    let before = segments::list(dir.path()).unwrap()[0];
    std::fs::remove_dir_all(dir.path()).unwrap();
    while segments::list(dir.path()).unwrap().first().is_none_or(|n| *n == before) {
        let _ = std::fs::remove_dir_all(dir.path());
        write(dir.path(), 1000, 5..7);
    }
    let mut reader = Reader::new(dir.path(), reader.cursor());
    assert_eq!(numbers(reader.read(10).unwrap()), [5, 6]);
}

#[test]
fn a_reader_may_come_before_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("later");
    let mut reader = Reader::new(&spool, Cursor::default());
    assert!(reader.read(10).unwrap().is_empty());
    write(&spool, 1000, 0..3);
    assert_eq!(numbers(reader.read(10).unwrap()), [0, 1, 2]);
}

#[test]
fn a_reader_keeps_up_with_a_writer_in_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let count = 50_000;
    let path = dir.path().to_owned();
    let writer = std::thread::spawn(move || {
        let mut writer = Writer::open(&path, 20_000).unwrap();
        for n in 0..count {
            writer.append(&entry(n)).unwrap();
            if n % 13 == 0 {
                writer.flush().unwrap();
            }
        }
    });
    let mut reader = Reader::new(dir.path(), Cursor::default());
    let mut next = 0;
    while next < count {
        for e in reader.read(1000).unwrap() {
            assert_eq!(e, entry(next));
            next += 1;
        }
        reader.forget_consumed().unwrap();
    }
    writer.join().unwrap();
    assert!(reader.read(10).unwrap().is_empty());
}

#[test]
fn a_full_disk_is_an_error_and_not_the_end() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", segments::path(dir.path(), 1)).unwrap();
    let mut writer = Writer::open(dir.path(), 1000).unwrap();
    writer.append(&entry(0)).unwrap();
    assert!(writer.flush().is_err());
}

#[test]
fn a_reader_with_nothing_to_read_knows_it_and_is_late_for_a_few_looks_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(dir.path(), Cursor::default());
    assert!(!reader.is_idle(), "there may be a spool by now");
    write(dir.path(), 1000, 0..3);
    assert_eq!(reader.read(10).unwrap().len(), 3);
    assert!(reader.is_idle());
    tear(dir.path(), b"7 o more\n");
    assert!(!reader.is_idle());
    assert_eq!(numbers(reader.read(10).unwrap()), [7]);
    // The next segment is started, and this one is not a byte longer.
    let next = segments::list(dir.path()).unwrap().last().unwrap() + 1;
    std::fs::write(segments::path(dir.path(), next), b"8 o next\n").unwrap();
    assert!((0..10).any(|_| !reader.is_idle()));
    assert_eq!(numbers(reader.read(10).unwrap()), [8]);
    std::fs::remove_file(segments::path(dir.path(), next)).unwrap();
    assert!(!reader.is_idle(), "what was deleted is looked for");
}

#[test]
fn special_files_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "1 o secret\n").unwrap();
    let spool = dir.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    std::os::unix::fs::symlink(&secret, segments::path(&spool, 1)).unwrap();
    assert!(Reader::new(&spool, Cursor::default()).read(10).is_err());
    std::fs::remove_file(segments::path(&spool, 1)).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(segments::path(&spool, 1)).status().unwrap();
    assert!(pipe.success());
    assert!(Reader::new(&spool, Cursor::default()).read(10).is_err());
}

#[test]
fn a_batch_has_so_many_entries_and_so_much_text_and_the_next_continues_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), 300_000).unwrap();
    let long = |n: i64| Entry { at_us: n, kind: b'o', text: vec![b'x'; 10_000] };
    (0..100).for_each(|n| writer.append(&long(n)).unwrap());
    (100..200).for_each(|n| writer.append(&entry(n)).unwrap());
    drop(writer);
    let (mut read, mut cursor) = (Vec::new(), Cursor::default());
    loop {
        // A new reader each time, as after a restart.
        let batch = Reader::new(dir.path(), cursor).read_batch(70).unwrap();
        let text: usize = batch.entries.iter().map(|entry| entry.text.len()).sum();
        assert!(batch.entries.len() <= 70 && text < 272_144, "{} entries, {text} bytes", batch.entries.len());
        assert!(!batch.is_end);
        cursor = batch.cursor;
        read.extend(numbers(batch.entries));
        if !batch.is_full {
            break;
        }
    }
    assert_eq!(read, (0..200).collect::<Vec<_>>());
    let nothing = Reader::new(dir.path(), cursor).read_batch(70).unwrap();
    assert!(nothing.entries.is_empty() && !nothing.is_full && nothing.cursor == cursor);
}

const DIR_WITHOUT_FILES: &str = "SPOOL_TEST_WITHOUT_FILES";

/// Entries written while no file can be opened, and when that is possible again.
const WITHOUT_FILES: std::ops::Range<i64> = 0..500;
const WITH_FILES: std::ops::Range<i64> = 500..40_000;

/// Sets how many files this process can open.
fn limit_files(files: libc::rlim_t) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a struct on our stack.
    let results = unsafe {
        let found = libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = files.min(limit.rlim_max);
        (found, libc::setrlimit(libc::RLIMIT_NOFILE, &limit))
    };
    assert_eq!(results, (0, 0));
}

/// Does nothing unless started by the test below: the limit is that of a whole process.
#[test]
fn process_without_files() {
    let Some(dir) = std::env::var_os(DIR_WITHOUT_FILES).map(PathBuf::from) else { return };
    let mut writer = Writer::open(&dir, 1000).unwrap();
    limit_files(0);
    for n in WITHOUT_FILES {
        writer.append(&entry(n)).unwrap();
    }
    writer.flush().unwrap();
    limit_files(1024);
    for n in WITH_FILES {
        writer.append(&entry(n)).unwrap();
    }
}

#[test]
fn without_files_a_segment_grows_and_no_line_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::process_without_files"])
        .env(DIR_WITHOUT_FILES, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    let mut reader = Reader::new(dir.path(), Cursor::default());
    let mut read = Vec::new();
    loop {
        let entries = reader.read(1000).unwrap();
        if entries.is_empty() {
            break;
        }
        read.extend(numbers(entries));
    }
    assert_eq!(read, (WITHOUT_FILES.start..WITH_FILES.end).collect::<Vec<_>>());
    assert!(segments::list(dir.path()).unwrap().len() > 1);
}
