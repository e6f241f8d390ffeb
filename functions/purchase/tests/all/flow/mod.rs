//! Purchases from the order to the credits.

mod card_page;
mod checkout;
mod customer;
mod declines;
mod processing;
mod stored_card;
mod top_up;
mod webhook;
