//! Signalling as a task of its own: a resume holds livekit-signaling's lock for seconds, in which media
//! must go on. What is said meanwhile waits here in its order.

use std::time::Duration;

use livekit_protocol::{
    JoinResponse, ReconnectReason, ReconnectResponse, client_info::Capability,
    leave_request::Action, signal_request, signal_response,
};
use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use tokio::{sync::mpsc, time::timeout};

use super::{
    mend::{Broken, Refusal, Side},
    transport,
};

/// The signal protocol that was seen working; newer ones promise what str0m does not do.
const PROTOCOL: u32 = 16;

/// Streams as livekit-data-stream reads them.
const CLIENT_PROTOCOL: i32 = 2;

/// Longest wait for one message to be taken.
const SEND: Duration = Duration::from_secs(5);

/// What the task is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// Tell the server.
    Send(Box<signal_request::Message>),
    /// Open signalling anew for the same participant.
    Resume(Broken),
    /// Media is back: what was held may go.
    Resumed,
    /// Say goodbye and end.
    Leave,
}

/// What the task tells.
#[derive(Debug)]
pub(super) enum Tell {
    /// The server says.
    Message(Box<signal_response::Message>),
    /// The connection is gone.
    Lost,
    /// It is back.
    Resumed(Box<ReconnectResponse>),
    /// It could not be had back.
    Failed(Refusal),
}

/// Why a room cannot be joined.
#[derive(Debug)]
pub(super) enum Refused {
    /// Not now; in words for people.
    Unreachable(String),
    /// Never with this token or address.
    Never(String),
}

/// An open connection that nobody speaks through yet.
pub(super) struct Opened {
    client: SignalClient,
    events: SignalEvents,
    /// What the server said first.
    pub(super) join: Box<JoinResponse>,
}

/// Opens signalling.
pub(super) async fn open(url: &str, token: &str) -> Result<Opened, Refused> {
    transport::install();
    let mut options = SignalOptions::default();
    options.protocol_version = PROTOCOL;
    options.client_protocol = CLIENT_PROTOCOL;
    options.client_capabilities = vec![Capability::CapCompressionDeflateRaw];
    options.single_peer_connection = false;
    options.auto_subscribe = false;
    options.region_failover = false;
    match SignalClient::connect(url, token, options, None).await {
        Ok((client, join, events)) => Ok(Opened {
            client,
            events,
            join: Box::new(join),
        }),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: SignalError) -> Refused {
    match error {
        SignalError::Client(status, _) if matches!(status.as_u16(), 401 | 403) => Refused::Never(
            "the server does not accept our API key and secret; set LIVEKIT_API_KEY and LIVEKIT_API_SECRET as the server has them".to_owned(),
        ),
        SignalError::Client(status, text) => {
            let text: String = text.chars().take(200).collect();
            Refused::Unreachable(format!("the server refused us with {status}: {text:?}"))
        }
        SignalError::UrlParse(why) => Refused::Never(format!(
            "LIVEKIT_URL is no address of a LiveKit server ({why}); it looks like ws://host:7880"
        )),
        SignalError::TokenFormat => {
            Refused::Never("the token has characters that cannot be sent".to_owned())
        }
        error => Refused::Unreachable(error.to_string()),
    }
}

impl Opened {
    /// Serves until it is asked to leave or nobody asks any more.
    pub(super) async fn run(mut self, mut asks: mpsc::Receiver<Ask>, tells: mpsc::Sender<Tell>) {
        loop {
            let tell = tokio::select! {
                biased;
                ask = asks.recv() => match ask {
                    Some(Ask::Send(message)) => {
                        // What a stuck socket does not take is lost with it.
                        let _ = timeout(SEND, self.client.send(*message)).await;
                        continue;
                    }
                    Some(Ask::Resume(why)) => self.resume(why).await,
                    Some(Ask::Resumed) => {
                        let _ = timeout(SEND, self.client.set_reconnected()).await;
                        continue;
                    }
                    Some(Ask::Leave) => {
                        let leave = livekit_protocol::LeaveRequest {
                            reason: livekit_protocol::DisconnectReason::ClientInitiated as i32,
                            action: Action::Disconnect as i32,
                            ..Default::default()
                        };
                        let leave = signal_request::Message::Leave(leave);
                        let _ = timeout(SEND, self.client.send(leave)).await;
                        break;
                    }
                    None => break,
                },
                event = self.events.recv() => match event {
                    Some(SignalEvent::Message(message)) => Tell::Message(message),
                    Some(SignalEvent::Close(_)) => Tell::Lost,
                    None => Tell::Lost,
                },
            };
            if tells.send(tell).await.is_err() {
                break;
            }
        }
        let _ = timeout(SEND, self.client.close()).await;
    }

    async fn resume(&mut self, why: Broken) -> Tell {
        let reason = match why {
            Broken::Signal => ReconnectReason::RrSignalDisconnected,
            Broken::Peer(Side::Publisher) => ReconnectReason::RrPublisherFailed,
            Broken::Peer(Side::Subscriber) => ReconnectReason::RrSubscriberFailed,
        };
        // The old connection's last words, "closed" among them, must not be taken for the new one's.
        // What the server says anew comes after its answer; people who come and go are told whole.
        self.client.close().await;
        while self.events.try_recv().is_ok() {}
        match self.client.restart(reason).await {
            Ok(response) => Tell::Resumed(Box::new(response)),
            Err(SignalError::LeaveRequest {
                action: Action::Resume,
                ..
            }) => Tell::Failed(Refusal::Unreachable),
            Err(SignalError::LeaveRequest { .. } | SignalError::Client(..)) => {
                Tell::Failed(Refusal::Refused)
            }
            Err(_) => Tell::Failed(Refusal::Unreachable),
        }
    }
}
