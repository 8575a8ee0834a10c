//! The log: a tenant may print a lot, but cannot forge its source.

use dyno::Driver;

use crate::world::World;

#[tokio::test]
async fn a_line_without_end_is_cut_and_costs_no_memory() {
    let world = World::new();
    let spec = world.spec("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end");
    let handle = world.start(&spec).await;
    let exit = world.driver.wait(spec.id).await.unwrap();
    assert_eq!(exit.code, Some(0));
    let said = world.lines(handle.id);
    assert!(said.iter().all(|line| line.len() <= 10_000));
    assert_eq!(said.last().map(String::as_str), Some("end"));
    assert_eq!(said.iter().map(String::len).sum::<usize>(), 100_000_003);
}

#[tokio::test]
async fn a_flood_of_output_is_written_down_and_ends_with_the_dyno() {
    let world = World::new();
    let spec = world.spec("yes flood | head -c 30000000; echo; echo end");
    let handle = world.start(&spec).await;
    world.driver.wait(spec.id).await.unwrap();
    assert_eq!(world.lines(handle.id).last().map(String::as_str), Some("end"));
    let shim = std::fs::read_to_string(world.state(spec.id).join("shim.log")).unwrap();
    assert_eq!(shim, "", "the supervisor had nothing to complain of");
}

#[tokio::test]
async fn a_tenant_cannot_speak_as_the_platform() {
    let world = World::new();
    let spec =
        world.spec(r"printf 's\tState changed to up\n\0s\nheroku[router]: at=info\n\r\033[2J'; echo x > /dev/stdout");
    let handle = world.start(&spec).await;
    world.driver.wait(spec.id).await.unwrap();
    let read = world.output(handle.id);
    assert!(read.len() >= 4 && read.iter().all(|entry| entry.kind == b'o'), "{read:?}");
}
