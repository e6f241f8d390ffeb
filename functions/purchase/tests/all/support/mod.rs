mod shop;
mod wire;

pub use shop::{Shop, TEAM, WEBHOOK_SECRET, in_shop, now, team};
pub use wire::{Act, Seen, Wire};
