//! Where orders from outside reach the conversations of rooms: the HTTP API puts them here by a room's
//! name, the conversation takes them. A room is on the desk while somebody is in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::topics::Command;
use crate::{fault::Fault, pii::Pii, rtc::AgentState};

/// Orders that may wait for one room.
const WAITING: usize = 16;

/// What somebody outside wants of a conversation.
#[derive(Debug)]
pub enum Order {
    /// Say this as it is, when nobody else has the floor.
    Announce(Pii<String>),
    /// Wake up and greet.
    Wake,
    /// Answer this as if it had been typed. The answer's words come back when all of them have been
    /// made into sound, or were cut off; dropped unanswered where there is none.
    Ask(Pii<String>, oneshot::Sender<String>),
    /// Do not listen (or listen again).
    Mute(bool),
    /// Be silent at once.
    Stop,
}

impl Order {
    /// Tools have changed: says `message`, else that `tool_name` is there, else nothing.
    pub fn reload_tools(message: Option<String>, tool_name: Option<String>) -> Self {
        let news = Command::news(message, tool_name.as_deref());
        Self::Announce(Pii(news.unwrap_or_default()))
    }
}

/// How it is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomStatus {
    /// What the assistant does.
    pub state: AgentState,
    /// People in it.
    pub people: usize,
    /// The assistant does not listen.
    pub muted: bool,
}

impl Default for RoomStatus {
    fn default() -> Self {
        Self {
            state: AgentState::Initializing,
            people: 0,
            muted: false,
        }
    }
}

/// Why an order was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No conversation is there.
    #[error("nobody is in this room")]
    NoConversation,
    /// Too many orders wait already.
    #[error("too much is asked of this room at once; try again in a second")]
    Busy,
}

impl OrderError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoConversation => Fault::Request,
            Self::Busy => Fault::Busy,
        }
    }
}

/// See the module's text. Clones are the same desk.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    places: Arc<Mutex<BTreeMap<String, Place>>>,
    /// Somebody outside says that there are other tools.
    tools: Arc<Notify>,
}

#[derive(Debug)]
struct Place {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<RoomStatus>,
}

impl Desk {
    /// Hands `order` to the conversation in `room`; does not wait for it to be carried out.
    ///
    /// # Errors
    ///
    /// When no conversation is there, or too many orders wait for it.
    pub fn order(&self, room: &str, order: Order) -> Result<(), OrderError> {
        let places = self.places();
        let place = places.get(room).ok_or(OrderError::NoConversation)?;
        place.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => OrderError::Busy,
            mpsc::error::TrySendError::Closed(_) => OrderError::NoConversation,
        })
    }

    /// The rooms in which conversations are held, by name.
    pub fn rooms(&self) -> Vec<(String, RoomStatus)> {
        let places = self.places();
        let rooms = places.iter();
        rooms
            .map(|(name, place)| (name.clone(), *place.status.borrow()))
            .collect()
    }

    /// Resolves when a room was told, by another process, that there are other tools: they are to be listed
    /// anew. For one listener; what was told while nobody listened is not lost.
    pub async fn tools_changed(&self) {
        self.tools.notified().await;
    }

    /// A conversation in `room` begins; on the desk until what is given back is dropped. A second one
    /// of the same name takes the place of the first.
    pub(crate) fn enter(&self, room: &str) -> Tray {
        let (sender, orders) = mpsc::channel(WAITING);
        let (status, watched) = watch::channel(RoomStatus::default());
        let place = Place {
            orders: sender.clone(),
            status: watched,
        };
        self.places().insert(room.to_owned(), place);
        Tray {
            desk: self.clone(),
            room: room.to_owned(),
            orders,
            status,
            ours: sender,
        }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        // Nothing in there can be left half done.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation's side of the desk.
pub(crate) struct Tray {
    desk: Desk,
    room: String,
    /// What is wanted of it.
    pub(crate) orders: mpsc::Receiver<Order>,
    status: watch::Sender<RoomStatus>,
    /// Tells our place from that of a later conversation.
    ours: mpsc::Sender<Order>,
}

impl Tray {
    /// Another process says that there are other tools.
    pub(crate) fn tools_changed(&self) {
        self.desk.tools.notify_one();
    }

    /// Tells those outside how it is.
    pub(crate) fn show(&self, change: impl FnOnce(&mut RoomStatus)) {
        self.status.send_modify(change);
    }
}

impl Drop for Tray {
    fn drop(&mut self) {
        let mut places = self.desk.places();
        if places
            .get(&self.room)
            .is_some_and(|place| place.orders.same_channel(&self.ours))
        {
            places.remove(&self.room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_on_the_desk_while_its_conversation_lasts() {
        let desk = Desk::default();
        assert_eq!(
            desk.order("den", Order::Wake),
            Err(OrderError::NoConversation)
        );
        let mut tray = desk.enter("den");
        tray.show(|status| status.people = 2);
        assert_eq!(desk.rooms()[0].0, "den");
        assert_eq!(desk.rooms()[0].1.people, 2);
        assert_eq!(desk.order("den", Order::Stop), Ok(()));
        assert!(matches!(tray.orders.try_recv(), Ok(Order::Stop)));
        drop(tray);
        assert!(desk.rooms().is_empty());
    }

    #[test]
    fn a_room_that_takes_no_orders_is_busy() {
        let desk = Desk::default();
        let _tray = desk.enter("den");
        for _ in 0..WAITING {
            assert_eq!(desk.order("den", Order::Wake), Ok(()));
        }
        assert_eq!(desk.order("den", Order::Wake), Err(OrderError::Busy));
    }

    #[test]
    fn the_end_of_an_older_conversation_leaves_the_newer_one_on_the_desk() {
        let desk = Desk::default();
        let old = desk.enter("den");
        let _new = desk.enter("den");
        drop(old);
        assert_eq!(desk.rooms().len(), 1);
    }
}
