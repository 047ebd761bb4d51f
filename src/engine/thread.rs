//! A model on a thread of its own.
//!
//! A model is not cheap to move and its steps block, so it lives on one named thread and takes jobs
//! from a short queue. A job whose caller is gone is skipped; a running job asks
//! [`Job::abandoned`] between two steps.

use std::{
    sync::{Arc, mpsc::sync_channel},
    thread,
};

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use crate::fault::Fault;

/// Why a job was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The queue is full: a moment later there is room.
    #[error("the {0} engine is busy; try again in a moment")]
    Busy(&'static str),
    /// The thread panicked: a bug.
    #[error("the {0} engine has stopped; restart caal and report the error above it in the log")]
    Gone(&'static str),
}

impl EngineError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            EngineError::Busy(_) => Fault::Busy,
            EngineError::Gone(_) => Fault::Internal,
        }
    }
}

/// One request on its way through the engine.
pub struct Job<Req, Resp> {
    /// What is asked.
    pub request: Req,
    /// The caller's span, entered while the job runs.
    pub span: Span,
    reply: oneshot::Sender<Resp>,
}

impl<Req, Resp> Job<Req, Resp> {
    /// True once nobody waits for the answer.
    pub fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Answers. The caller may have gone meanwhile; that is no error.
    pub fn answer(self, response: Resp) {
        let _ = self.reply.send(response);
    }
}

/// A handle; clones share one thread. The last one dropped ends the thread and waits for the job in
/// progress.
pub struct Engine<Req, Resp> {
    inner: Arc<Inner<Req, Resp>>,
}

impl<Req, Resp> Clone for Engine<Req, Resp> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

struct Inner<Req, Resp> {
    name: &'static str,
    jobs: Option<mpsc::Sender<Job<Req, Resp>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<Req: Send + 'static, Resp: Send + 'static> Engine<Req, Resp> {
    /// Starts the thread; `make` loads the model there and may fail. `queue` is the number of jobs
    /// that may wait; when it is full, [`Engine::call`] says [`EngineError::Busy`].
    ///
    /// Blocks until the model is loaded: call it at start-up, not on a request.
    ///
    /// # Errors
    ///
    /// What `make` says.
    pub fn start<M, E>(
        name: &'static str,
        queue: usize,
        make: impl FnOnce() -> Result<M, E> + Send + 'static,
        work: impl Fn(&mut M, Job<Req, Resp>) + Send + 'static,
    ) -> Result<Self, E>
    where
        E: Send + 'static,
    {
        let (jobs, mut inbox) = mpsc::channel::<Job<Req, Resp>>(queue.max(1));
        let (ready_tx, ready_rx) = sync_channel(1);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut model = match make() {
                    Ok(model) => model,
                    Err(e) => {
                        let _ = ready_tx.send(Err(e));
                        return;
                    }
                };
                let _ = ready_tx.send(Ok(()));
                while let Some(job) = inbox.blocking_recv() {
                    if job.abandoned() {
                        continue;
                    }
                    let span = job.span.clone();
                    span.in_scope(|| work(&mut model, job));
                }
            })
            .expect("the OS gives us a thread");
        ready_rx
            .recv()
            .expect("the thread answers before it ends")?;
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                jobs: Some(jobs),
                thread: Some(thread),
            }),
        })
    }

    /// Queues `request` and waits for the answer. Dropping the future cancels.
    ///
    /// # Errors
    ///
    /// `Busy` when the queue is full, `Gone` when the thread has ended.
    pub async fn call(&self, request: Req) -> Result<Resp, EngineError> {
        let (reply, answer) = oneshot::channel();
        let name = self.inner.name;
        let jobs = self.inner.jobs.as_ref().expect("present until drop");
        jobs.try_send(Job {
            request,
            span: Span::current(),
            reply,
        })
        .map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => EngineError::Busy(name),
            mpsc::error::TrySendError::Closed(_) => EngineError::Gone(name),
        })?;
        answer.await.map_err(|_| EngineError::Gone(name))
    }
}

impl<Req, Resp> Drop for Inner<Req, Resp> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was already reported to its caller as `Gone`.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use super::*;

    fn echo(queue: usize) -> Engine<u32, u32> {
        let Ok(engine) = Engine::start(
            "echo",
            queue,
            || Ok::<_, Infallible>(0u32),
            |count, job| {
                assert_ne!(job.request, 13, "thirteen");
                *count += 1;
                let answer = job.request * 2;
                job.answer(answer);
            },
        );
        engine
    }

    #[tokio::test]
    async fn it_answers_and_a_panic_is_gone_not_a_hang() {
        let engine = echo(1);
        assert_eq!(engine.call(4).await, Ok(8));
        let patience = Duration::from_secs(10);
        let answer = tokio::time::timeout(patience, engine.call(13)).await;
        assert_eq!(
            answer.expect("answers in time"),
            Err(EngineError::Gone("echo"))
        );
        let answer = tokio::time::timeout(patience, engine.call(4)).await;
        assert_eq!(
            answer.expect("answers in time"),
            Err(EngineError::Gone("echo"))
        );
    }

    #[tokio::test]
    async fn a_full_queue_is_busy() {
        let (gate_tx, gate) = sync_channel::<()>(0);
        let Ok(engine) = Engine::start(
            "gated",
            1,
            || Ok::<_, Infallible>(gate),
            |gate, job: Job<u32, u32>| {
                let _ = gate.recv();
                job.answer(1);
            },
        );
        let mut first = Box::pin(engine.call(1));
        assert!(futures_util::poll!(&mut first).is_pending());
        // Until the thread has taken the first job, the second waits in the queue of one.
        let mut waiting = Vec::new();
        let busy = loop {
            let mut call = Box::pin(engine.call(2));
            match futures_util::poll!(&mut call) {
                std::task::Poll::Ready(result) => break result,
                std::task::Poll::Pending => waiting.push(call),
            }
            tokio::task::yield_now().await;
            assert!(waiting.len() < 10_000, "never busy");
        };
        assert_eq!(busy, Err(EngineError::Busy("gated")));
        drop(gate_tx);
        assert_eq!(first.await, Ok(1));
    }

    #[test]
    fn a_model_that_does_not_load_is_an_error() {
        let result = Engine::<u32, u32>::start("bad", 1, || Err::<(), _>("no file"), |_, _| {});
        assert_eq!(result.err(), Some("no file"));
    }
}
