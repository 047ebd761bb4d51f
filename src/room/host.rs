//! One conversation in one room, from the first person to the last.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::mpsc::{self, error::SendTimeoutError},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    asker::Asker,
    caption::Caption,
    desk::{Desk, Order, Tray},
    ear::{self, Heard, listen},
    mix::Mixer,
    topics::{self, Command},
};
use crate::{
    pii::Pii,
    rtc::{AgentState, Closed, Departure, FRAME, Identity, Link, RoomCommand, RoomEvent},
    session::{Clock, Effect, Ended, Event, Seat, Setting, Turns, Watch},
    telemetry::metrics,
    turn::{Attention, Phase, ReplyId, TurnId},
};

/// How long silence is heard after the last microphone fell silent or left: enough for a turn's end.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// How long a conversation waits for its last person to come back: a page loaded anew, a broken line.
const RETURN: Duration = Duration::from_secs(20);

/// How long the room may take what we send before it counts as gone.
const SENDING: Duration = Duration::from_secs(10);

/// Makes what a conversation in the room of this name needs, or says in a sentence why it cannot.
type SettingMaker = dyn Fn(&str) -> BoxFuture<'static, Result<Setting, String>> + Send + Sync;

/// What a room's conversations are made of.
#[derive(Clone)]
pub struct Host {
    /// Makes a conversation in the room of this name, which remembers what was said there lately: loads the
    /// models of its ear, a fraction of a second. Asked for when somebody comes into an empty room.
    pub setting: Arc<SettingMaker>,
    /// Said when the first person can hear it; empty for nothing.
    pub greeting: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether conversations sleep until their wake word now, so that clients are told of sleep and
    /// waking.
    pub wake_word: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Said when somebody outside wakes it; empty for nothing.
    pub woken: Arc<dyn Fn() -> String + Send + Sync>,
    /// Which servers of tools cannot be reached now, a sentence for each: told when somebody comes in.
    pub missing: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Where orders from outside come from.
    pub desk: Desk,
    /// Where turns are noted when they are over.
    pub turns: Turns,
}

/// How a room came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The room ended.
    Closed(Closed),
    /// We were told to stop.
    Stopped,
    /// The conversation could not be held; a sentence for people.
    Failed(String),
}

/// Sits in the room of `link` until it closes or `stop` is cancelled. Every time somebody comes into
/// the empty room a new conversation begins, with as much memory of the last as its setting brings.
pub async fn host(mut link: Link, host: &Host, stop: CancellationToken) -> Outcome {
    let mut people = People::default();
    loop {
        // Nobody is there yet.
        while people.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return leave(link).await,
                event = link.events.recv() => match event {
                    None => return Outcome::Closed(Closed::Lost("the room is gone".to_owned())),
                    Some(RoomEvent::Closed(why)) => return Outcome::Closed(why),
                    Some(event) => people.note(&event),
                }
            }
        }
        let setting = match (host.setting)(&link.room).await {
            Ok(mut setting) => {
                setting.config.place.clone_from(&link.room);
                setting
            }
            Err(why) => {
                warn!(room = link.room, "no conversation: {why}");
                leave(link).await;
                return Outcome::Failed(why);
            }
        };
        info!(room = ?link.room, people = people.present.len(), "conversation begins");
        let mut wishes = Wishes::default();
        let mut seat = Seat::open(setting, Clock::Runtime, &mut wishes);
        let mut ears = JoinSet::new();
        let (sounds, heard) = mpsc::channel(ear::QUEUE);
        if let Some(ear) = seat.take_ear() {
            ears.spawn(listen(ear, heard, seat.events()));
        }
        let tray = host.desk.enter(&link.room);
        let ended = Conversation::new(&mut link, host, &mut people, sounds, tray)
            .run(seat, &stop)
            .await;
        ears.shutdown().await;
        info!(room = ?link.room, "conversation over");
        match ended {
            End::Empty => {}
            End::Stopped => return leave(link).await,
            End::Closed(why) => return Outcome::Closed(why),
            End::Failed => {
                leave(link).await;
                return Outcome::Failed("the conversation has ended; see the log".to_owned());
            }
        }
    }
}

/// Leaves, and waits a moment for the goodbye to get through.
async fn leave(mut link: Link) -> Outcome {
    let goodbye = async {
        if link.commands.send(RoomCommand::Leave).await.is_ok() {
            while let Some(event) = link.events.recv().await {
                if matches!(event, RoomEvent::Closed(_)) {
                    break;
                }
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
    Outcome::Stopped
}

/// Who is in the room, other assistants left out.
#[derive(Debug, Default)]
struct People {
    present: HashSet<Identity>,
    /// Our voice can be heard.
    audible: bool,
}

impl People {
    fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    fn note(&mut self, event: &RoomEvent) {
        match event {
            RoomEvent::Joined(participant) if !participant.agent => {
                self.present.insert(participant.identity.clone());
            }
            // Who is replaced comes back at once.
            RoomEvent::Left(who, how) if *how != Departure::Replaced => {
                self.present.remove(who);
            }
            RoomEvent::Audible => self.audible = true,
            _ => {}
        }
        if self.present.is_empty() {
            self.audible = false;
        }
    }
}

/// Why a conversation ended.
enum End {
    Empty,
    Stopped,
    Closed(Closed),
    Failed,
}

impl From<Ended> for End {
    fn from(_: Ended) -> Self {
        Self::Failed
    }
}

/// Keeps what the session wants until the conversation has time for it.
#[derive(Default)]
struct Wishes(VecDeque<Effect>);

impl Watch for Wishes {
    fn effect(&mut self, effect: &Effect) {
        // Sound is the playout's; its length is all that captions need.
        self.0.push_back(effect.clone());
    }
}

/// One conversation; everything in it that a client sees.
struct Conversation<'a> {
    link: &'a mut Link,
    host: &'a Host,
    people: &'a mut People,
    mixer: Mixer,
    /// Who was loudest when somebody was last heard.
    speaker: Option<Identity>,
    caption: Option<Caption>,
    state: Option<AgentState>,
    /// What clients were told of it, if anything: without a word they take it that it sleeps.
    awake: Option<bool>,
    /// It sleeps until its wake word, or did before that was changed.
    sleeps: bool,
    /// It is awake, by what the ear was last told.
    listening: bool,
    greeted: bool,
    /// A question is being answered, and its tool status is not told yet.
    answering: bool,
    /// Questions so far.
    questions: u64,
    /// When it began, in milliseconds of the calendar: tells its captions from those of others.
    began: u128,
    /// Until when silence is heard where nobody's microphone is.
    silence_until: Option<Instant>,
    /// Since when everybody's line has been broken.
    alone_until: Option<Instant>,
    /// The next frame of the voice, or of silence.
    due: Option<Instant>,
    /// The room has had sound and expects more.
    speaking: bool,
    /// What the ear has to be told before it hears on.
    attentions: VecDeque<Attention>,
    sounds: mpsc::Sender<Heard>,
    /// What those outside want, and what they see.
    tray: Tray,
    muted: bool,
    /// Whoever waits for the words of an answer.
    asker: Option<Asker>,
    /// Pieces of sound that the ear had no room for.
    unheard: u64,
}

impl<'a> Conversation<'a> {
    fn new(
        link: &'a mut Link,
        host: &'a Host,
        people: &'a mut People,
        sounds: mpsc::Sender<Heard>,
        tray: Tray,
    ) -> Self {
        let sleeps = (host.wake_word)();
        Self {
            link,
            host,
            people,
            mixer: Mixer::default(),
            speaker: None,
            caption: None,
            state: None,
            awake: None,
            sleeps,
            listening: !sleeps,
            greeted: false,
            answering: false,
            questions: 0,
            began: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis()),
            silence_until: None,
            alone_until: None,
            due: None,
            speaking: false,
            attentions: VecDeque::new(),
            sounds,
            tray,
            muted: false,
            asker: None,
            unheard: 0,
        }
    }

    async fn run(mut self, mut seat: Seat<'_, Wishes>, stop: &CancellationToken) -> End {
        let end = match self.converse(&mut seat, stop).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        if self.unheard > 0 {
            warn!(pieces = self.unheard, "the ear could not keep up");
            metrics().ear_dropped(self.unheard);
        }
        seat.close().await;
        end
    }

    async fn converse(
        &mut self,
        seat: &mut Seat<'_, Wishes>,
        stop: &CancellationToken,
    ) -> Result<std::convert::Infallible, End> {
        let missing = (self.host.missing)();
        if !missing.is_empty() {
            self.data(topics::MCP_ERROR, topics::mcp_error(&missing))
                .await?;
        }
        self.show(AgentState::Listening).await?;
        self.count();
        loop {
            self.greet(seat).await?;
            self.asleep_or_awake().await?;
            while let Some(wish) = seat.watch.0.pop_front() {
                self.carry_out(wish).await?;
            }
            let (due, alone_until) = (self.due, self.alone_until);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(End::Stopped),
                () = at(due), if due.is_some() => self.frame(seat).await?,
                () = at(alone_until), if alone_until.is_some() => return Err(End::Empty),
                event = self.link.events.recv() => {
                    let gone = || RoomEvent::Closed(Closed::Lost("the room is gone".to_owned()));
                    self.happened(event.unwrap_or_else(gone), seat).await?;
                }
                carried = seat.next() => {
                    carried?;
                }
                Some(order) = self.tray.orders.recv() => self.obey(order, seat).await?,
            }
        }
    }

    /// Says hello as soon as it can be heard, once.
    async fn greet(&mut self, seat: &mut Seat<'_, Wishes>) -> Result<(), End> {
        if self.greeted || !self.people.audible {
            return Ok(());
        }
        self.greeted = true;
        let greeting = (self.host.greeting)();
        if !greeting.is_empty() {
            seat.tell(Event::Announce(greeting)).await?;
        }
        Ok(())
    }

    /// The next 20 ms: of the voice to the room, of silence to the ear.
    async fn frame(&mut self, seat: &mut Seat<'_, Wishes>) -> Result<(), End> {
        let now = Instant::now();
        let due = self.due.unwrap_or(now);
        // A stall is caught up with three frames; what it took beyond that is a pause.
        let next = match now.duration_since(due) > FRAME * 3 {
            true => now,
            false => due + FRAME,
        };
        seat.catch_up()?;
        if let Some(frame) = seat.frame().await? {
            let samples = frame.len();
            metrics().voice_late(now.saturating_duration_since(due));
            // A room that does not take sound at once is being mended: late sound helps nobody.
            let _ = self.link.commands.try_send(RoomCommand::Voice(frame));
            self.speaking = true;
            if seat.playout.is_idle() {
                self.pause();
            }
            if let Some(caption) = &mut self.caption
                && let Some(more) = caption.play(samples)
            {
                let reply = caption.reply();
                let segment = self.voice_segment(reply);
                self.send(RoomCommand::VoiceText {
                    segment,
                    more: Pii(more),
                    last: false,
                })
                .await?;
            }
        } else {
            self.pause();
        }
        if self.silence_until.is_some_and(|until| now < until) {
            self.hear(vec![0.0; SILENCE]);
        } else {
            self.silence_until = None;
        }
        let idle = seat.playout.is_idle() && self.silence_until.is_none();
        self.due = (!idle).then_some(next);
        Ok(())
    }

    /// Tells the room, once, that the voice has stopped for now: its silence follows without a gap.
    fn pause(&mut self) {
        if std::mem::take(&mut self.speaking) {
            let _ = self.link.commands.try_send(RoomCommand::VoicePause);
        }
    }

    fn hear(&mut self, sound: Vec<f32>) {
        while let Some(attention) = self.attentions.pop_front() {
            if self.sounds.try_send(Heard::Attend(attention)).is_err() {
                self.attentions.push_front(attention);
                self.unheard += 1;
                return;
            }
        }
        if self.sounds.try_send(Heard::Sound(sound)).is_err() {
            self.unheard += 1;
        }
    }

    /// A microphone fell silent: its turn ends in silence, not in a stream that stands still.
    fn fall_silent(&mut self, who: &Identity) {
        self.mixer.remove(who);
        if self.mixer.is_empty() {
            let now = Instant::now();
            self.silence_until = Some(now + AFTERWARDS);
            self.due.get_or_insert(now);
        }
    }

    async fn happened(&mut self, event: RoomEvent, seat: &mut Seat<'_, Wishes>) -> Result<(), End> {
        self.people.note(&event);
        match event {
            RoomEvent::Sound(..) if self.muted => {}
            RoomEvent::Sound(who, sound) => {
                self.silence_until = None;
                if let Some(sound) = self.mixer.push(&who, sound) {
                    if self.mixer.loudest() != self.speaker.as_ref() {
                        self.speaker = self.mixer.loudest().cloned();
                    }
                    self.hear(sound);
                }
            }
            RoomEvent::Joined(_) => {
                self.count();
                self.alone_until = None;
                if (self.host.wake_word)() {
                    let awake = self.awake.unwrap_or(false);
                    self.data(topics::WAKE_WORD, topics::wake_word(awake))
                        .await?;
                }
            }
            RoomEvent::Left(who, _) => {
                self.count();
                self.fall_silent(&who);
                if self.people.is_empty() {
                    // A page that is loaded anew says goodbye, too, and comes back as somebody else.
                    seat.tell(Event::Interrupt).await?;
                    self.alone_until = Some(Instant::now() + RETURN);
                }
            }
            RoomEvent::Muted(who, true) => self.fall_silent(&who),
            RoomEvent::Muted(_, false) | RoomEvent::Audible | RoomEvent::Reconnecting => {}
            RoomEvent::Chat(_, text) => seat.tell(Event::Typed(text.0)).await?,
            RoomEvent::Data {
                from: None,
                topic,
                payload,
            } if topic == topics::COMMAND => self.command(&payload, seat).await?,
            RoomEvent::Data { topic, .. } => debug!(?topic, "data that is not for us"),
            RoomEvent::Reconnected => {
                if let Some(state) = self.state {
                    self.send(RoomCommand::State(state)).await?;
                }
                if let Some(awake) = self.awake {
                    self.data(topics::WAKE_WORD, topics::wake_word(awake))
                        .await?;
                }
            }
            RoomEvent::Closed(why) => return Err(End::Closed(why)),
        }
        Ok(())
    }

    async fn command(&mut self, payload: &[u8], seat: &mut Seat<'_, Wishes>) -> Result<(), End> {
        let order = match topics::command(payload) {
            Some(Command::Announce { message }) => Order::Announce(Pii(message)),
            Some(Command::ReloadTools { message, tool_name }) => {
                self.tray.tools_changed();
                Order::reload_tools(message, tool_name)
            }
            Some(Command::Wake) => Order::Wake,
            None => {
                warn!("the server sent a command that is none; it is left out");
                return Ok(());
            }
        };
        self.obey(order, seat).await
    }

    /// Does what somebody outside wants.
    async fn obey(&mut self, order: Order, seat: &mut Seat<'_, Wishes>) -> Result<(), End> {
        match order {
            Order::Announce(words) if words.0.trim().is_empty() => {}
            Order::Announce(words) => seat.tell(Event::Announce(words.0)).await?,
            Order::Wake => {
                seat.tell(Event::Wake).await?;
                let greeting = (self.host.woken)();
                if !greeting.is_empty() {
                    seat.tell(Event::Announce(greeting)).await?;
                }
            }
            Order::Ask(words, answer) => {
                self.asker = Some(Asker::new(&words.0, answer));
                seat.tell(Event::Typed(words.0)).await?;
            }
            Order::Mute(muted) => {
                self.muted = muted;
                self.tray.show(|status| status.muted = muted);
                if muted {
                    // A turn that has begun ends in silence.
                    self.mixer = Mixer::default();
                    let now = Instant::now();
                    self.silence_until = Some(now + AFTERWARDS);
                    self.due.get_or_insert(now);
                }
            }
            Order::Stop => seat.tell(Event::Interrupt).await?,
        }
        Ok(())
    }

    /// Tells those outside how many people are there.
    fn count(&self) {
        let people = self.people.present.len();
        self.tray.show(|status| status.people = people);
    }

    /// What the session wants, as far as the room's clients see it.
    async fn carry_out(&mut self, wish: Effect) -> Result<(), End> {
        match wish {
            Effect::Attend(attention) => {
                self.attentions.push_back(attention);
                match attention {
                    Attention::WakeWord => self.listening = false,
                    Attention::Speech => self.listening = true,
                    Attention::Deaf => {}
                }
                self.asleep_or_awake().await?;
            }
            Effect::Show(phase) => {
                self.show(match phase {
                    // CAAL's clients know sleep by its data packet, and take "idle" for not there.
                    Phase::Asleep | Phase::Listening => AgentState::Listening,
                    Phase::Thinking => AgentState::Thinking,
                    Phase::Speaking => AgentState::Speaking,
                })
                .await?;
            }
            Effect::Hearing { turn, text } => self.user_text(turn, text, false).await?,
            Effect::UserSaid { turn, text } => {
                self.answering = true;
                self.questions += 1;
                if let Some(asker) = &mut self.asker {
                    asker.heard(turn, &text);
                }
                // What was typed is shown by who typed it.
                if let Some(turn) = turn {
                    self.user_text(turn, text, true).await?;
                }
            }
            Effect::Saying { reply, text } => {
                if std::mem::take(&mut self.answering) {
                    self.data(topics::TOOL_STATUS, topics::no_tool()).await?;
                }
                if self.caption.as_ref().is_none_or(|c| c.reply() != reply) {
                    self.caption = Some(Caption::new(reply));
                }
                if let Some(caption) = &mut self.caption {
                    caption.clause(&text);
                }
                if let Some(asker) = &mut self.asker {
                    asker.saying(reply, &text);
                }
            }
            Effect::Play { reply, sound } => {
                if let Some(caption) = self.caption.as_mut().filter(|c| c.reply() == reply) {
                    caption.sound(sound.len());
                }
                self.due.get_or_insert_with(Instant::now);
            }
            // Its end is told by a frame, too.
            Effect::PlayEnd { .. } | Effect::Flush(_) | Effect::Unhush(_) => {
                if let Effect::PlayEnd { reply } = wish {
                    self.answered(reply);
                }
                self.due.get_or_insert_with(Instant::now);
            }
            Effect::AssistantSaid { reply, text, .. } => {
                self.answered(reply);
                let caption = self.caption.take_if(|c| c.reply() == reply);
                let more = caption.map_or_else(|| text.trim().to_owned(), |c| c.rest(&text));
                self.send(RoomCommand::VoiceText {
                    segment: self.voice_segment(reply),
                    more: Pii(more),
                    last: true,
                })
                .await?;
            }
            Effect::Timings(timings) => self.data(topics::TURN, topics::turn(&timings)).await?,
            Effect::Answered(answered) => self.host.turns.note(&self.link.room, &answered),
            Effect::Doing(doing) => {
                self.answering = false;
                let id = format!("{}_{}", self.began, self.questions);
                self.data(topics::TOOL_STATUS, topics::tools(&doing, &id))
                    .await?;
            }
            Effect::Hush(_)
            | Effect::Woken { .. }
            | Effect::Trouble(_)
            | Effect::Settled { .. } => {}
        }
        Ok(())
    }

    /// All of `reply` is there, or no more of it will come.
    fn answered(&mut self, reply: ReplyId) {
        if let Some(asker) = self.asker.take_if(|asker| asker.is_answered_by(reply)) {
            asker.tell();
        }
    }

    /// A caption of who was loudest.
    async fn user_text(&mut self, turn: TurnId, text: String, last: bool) -> Result<(), End> {
        let Some(who) = self.speaker.clone() else {
            return Ok(());
        };
        self.send(RoomCommand::UserText {
            who,
            segment: format!("SG_{}_user_{}", self.began, turn.0),
            text: Pii(text),
            last,
        })
        .await
    }

    fn voice_segment(&self, reply: ReplyId) -> String {
        format!("SG_{}_voice_{}", self.began, reply.0)
    }

    /// Tells clients of sleep and waking, where it changed. Where it sleeps no more at all they hear that
    /// it is awake, once.
    async fn asleep_or_awake(&mut self) -> Result<(), End> {
        self.sleeps |= (self.host.wake_word)();
        if self.awake.unwrap_or(!self.sleeps) == self.listening {
            return Ok(());
        }
        self.awake = Some(self.listening);
        self.data(topics::WAKE_WORD, topics::wake_word(self.listening))
            .await
    }

    async fn show(&mut self, state: AgentState) -> Result<(), End> {
        if self.state != Some(state) {
            self.state = Some(state);
            self.tray.show(|status| status.state = state);
            self.send(RoomCommand::State(state)).await?;
        }
        Ok(())
    }

    async fn data(&mut self, topic: &'static str, payload: Vec<u8>) -> Result<(), End> {
        let to = Vec::new();
        self.send(RoomCommand::Data { topic, payload, to }).await
    }

    async fn send(&mut self, command: RoomCommand) -> Result<(), End> {
        let gone = |why: &str| End::Closed(Closed::Lost(why.to_owned()));
        match self.link.commands.send_timeout(command, SENDING).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(gone("the room is gone")),
            Err(SendTimeoutError::Timeout(_)) => Err(gone("the room takes nothing any more")),
        }
    }
}

/// Samples of 20 ms at 16 kHz.
const SILENCE: usize = 320;

/// Resolves at `moment`; never, where there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
