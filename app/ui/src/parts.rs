//! The UI components of the pages, one per file.

mod action;
mod ago;
pub mod ansi;
mod avatar;
mod board;
mod build_output;
pub mod chart;
mod command;
mod confirm_dialog;
mod dialog;
pub mod dom;
mod each;
mod error_panel;
mod field;
mod frame;
mod icon;
mod live_mark;
pub mod log;
mod meter;
mod missing;
mod notices;
mod pager;
mod palette;
mod rail;
mod show;
mod skeleton;
mod spark;
mod status;
pub mod theme;
mod toast;
mod visitor;

pub use self::{
    action::{ActButton, act},
    ago::Ago,
    avatar::Avatar,
    board::{Board, Stage, StageCard},
    build_output::BuildOutput,
    command::{Cmd, CopyButton},
    confirm_dialog::ConfirmDialog,
    dialog::Dialog,
    each::Each,
    error_panel::{ErrorPanel, ErrorPanelProps},
    field::field,
    frame::{Crumb, Deck, Frame, PageHead},
    icon::{Glyph, Icon},
    live_mark::LiveMark,
    meter::Meter,
    missing::Missing,
    notices::Notices,
    pager::Pager,
    palette::{FindButton, Palette},
    rail::Rail,
    show::Show,
    skeleton::Skeleton,
    spark::Spark,
    status::{Status, Tone, condition},
    theme::ThemeButton,
    toast::{ToastStack, Toasts},
    visitor::Visitor,
};
