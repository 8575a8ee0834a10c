//! Startup of this area: its job and its schedule.

use platform::work::AreaWork;

use crate::{Recovery, backups::SCHEDULE, job::BackUp};

impl Recovery {
    /// The background work of this area.
    ///
    /// # Errors
    /// When a schedule cannot be read.
    pub fn work(&self) -> anyhow::Result<AreaWork> {
        let schedule = background::Schedule::new(
            SCHEDULE,
            "Backs up the platform and verifies the backup. Its target and times are set on the page Platform.",
            ("30 3 * * *", "Etc/UTC"),
            &BackUp {},
        )?;
        Ok(AreaWork {
            jobs: vec![(background::Registry::default().with::<BackUp>(self.clone()), 1)],
            schedules: vec![schedule.set_by_users()],
            ..AreaWork::default()
        })
    }
}
