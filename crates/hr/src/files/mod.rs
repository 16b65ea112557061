//! The files that a user keeps: settings (`.env`), credentials (`auth.json`), own providers (`providers.d/`).
//!
//! [`home`] says where they are, [`store`] how they are read and written, [`edit`] changes them,
//! [`load`] turns them into what is in force, [`watch`] notices when they change, [`running`] knows who runs
//! from there. What the texts mean is decided in `hr-core`.

pub mod access_key;
pub mod edit;
mod folders;
pub mod home;
pub mod install;
pub mod load;
pub mod running;
pub mod store;
pub mod watch;
