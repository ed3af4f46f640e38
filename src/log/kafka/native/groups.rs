//! What the brokers say of a group.

use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;
use std::{ptr, slice};

use rdkafka::bindings::{self as sys, rd_kafka_resp_err_t as Code};
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

use super::super::connection::Context;
use super::millis;

/// A group.
pub(in super::super) struct Group {
    /// What it is at, such as `Stable`.
    pub(in super::super) state: String,
    /// What each member was given, in the form of its protocol.
    pub(in super::super) assignments: Vec<Vec<u8>>,
}

/// Looks a group up; `None`: there is none. Every broker is asked, as any may lead it. One that does not answer in time is
/// missed only if no other knows the group.
pub(in super::super) fn group(
    client: &Client<Context>,
    name: &str,
    timeout: Duration,
) -> Result<Option<Group>, RDKafkaErrorCode> {
    let name = CString::new(name).map_err(|_| RDKafkaErrorCode::InvalidGroupId)?;
    let mut list = ptr::null();
    // SAFETY: client and name are alive; the result is local, and stays null if there is none.
    let code = unsafe { sys::rd_kafka_list_groups(client.native_ptr(), name.as_ptr(), &raw mut list, millis(timeout)) };
    let list = List(list);
    match code {
        Code::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(list.find(&name)),
        Code::RD_KAFKA_RESP_ERR__PARTIAL => list.find(&name).map(Some).ok_or(RDKafkaErrorCode::OperationTimedOut),
        code => Err(code.into()),
    }
}

/// What librdkafka has listed; null if nothing.
struct List(*const sys::rd_kafka_group_list);

impl List {
    fn find(&self, name: &CStr) -> Option<Group> {
        // SAFETY: the list is null or alive, as are the groups and members in it, of which it says how many there are;
        // names are null or C strings, assignments null or of the length that stands beside them.
        unsafe {
            let list = self.0.as_ref()?;
            let found = items(list.groups, list.group_cnt).iter().find(|group| text(group.group) == Some(name))?;
            let members = items(found.members, found.member_cnt).iter();
            let given = |member: &sys::rd_kafka_group_member_info| {
                items(member.member_assignment.cast::<u8>(), member.member_assignment_size).to_vec()
            };
            let state = text(found.state).map(|state| state.to_string_lossy().into_owned()).unwrap_or_default();
            Some(Group { state, assignments: members.map(given).collect() })
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: librdkafka gave it, and it is freed once.
            unsafe { sys::rd_kafka_group_list_destroy(self.0) };
        }
    }
}

/// # Safety
/// `count` items at `start` are valid for `'a`, or `start` is null.
unsafe fn items<'a, T>(start: *const T, count: c_int) -> &'a [T] {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: as the caller promises.
    if start.is_null() { &[] } else { unsafe { slice::from_raw_parts(start, count) } }
}

/// # Safety
/// `text` is a C string that is valid for `'a`, or null.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: as the caller promises.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}
