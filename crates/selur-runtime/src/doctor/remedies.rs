//! The words on how to get what is missing. Whoever refuses to go on without it says the same ones.

pub(crate) const RUNC: &str =
    "install it, on Debian and Ubuntu with `apt-get install runc`, on Fedora with `dnf install runc`";
pub(crate) const OVERLAY: &str = "load it with `modprobe overlay`";
pub(crate) const CGROUPS: &str = "`mount -t cgroup2 none /sys/fs/cgroup`";
pub(crate) const PRIVILEGES: &str =
    "outside of a container, run this as root; inside of one, run that privileged";
pub(crate) const STATE_ROOT: &str = "name another by SELUR_ROOT";
