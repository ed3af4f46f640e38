//! Whatever a user hands in: the command ends, with the exit status that is documented and a message that says
//! where and what to do; and no good record is lost with a bad one.

mod command;
mod directories;
mod files;
mod large;
mod records;
