//! The feature `serde`: what is known of a job, for logs and reports. It is not read back: ids and
//! places in the source mean something in this process alone.

use super::{JobId, JobInfo};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// The number.
impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

/// `id`, `name`, `lane`, `spawned_at`, `priority`, `phase`, `queued_for`, `ran_for`, `overdue_by`, `thread`.
impl Serialize for JobInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("JobInfo", 10)?;
        fields.serialize_field("id", &self.id())?;
        fields.serialize_field("name", &self.name())?;
        fields.serialize_field("lane", &self.lane())?;
        fields.serialize_field("spawned_at", &self.location().to_string())?;
        fields.serialize_field("priority", &self.priority())?;
        fields.serialize_field("phase", &self.phase())?;
        fields.serialize_field("queued_for", &self.queued_for())?;
        fields.serialize_field("ran_for", &self.ran_for())?;
        fields.serialize_field("overdue_by", &self.overdue_by())?;
        fields.serialize_field("thread", &self.thread())?;
        fields.end()
    }
}
