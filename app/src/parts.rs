//! The parts that pages are made of. One file each.

mod ago;
mod avatar;
pub mod dom;
mod error_panel;
mod frame;
mod icon;
mod live_mark;
mod notices;
mod palette;
mod skeleton;
mod spark;
mod status;
pub mod theme;
mod toast;

pub use self::{
    ago::Ago,
    avatar::Avatar,
    error_panel::{ErrorPanel, ErrorPanelProps},
    frame::{Crumb, Deck, Frame, PageHead, Visitor},
    icon::{Glyph, Icon},
    live_mark::LiveMark,
    notices::Notices,
    palette::{FindButton, Palette},
    skeleton::Skeleton,
    spark::Spark,
    status::{Status, Tone, condition},
    theme::ThemeButton,
    toast::{ToastStack, Toasts},
};
