//! From HTTP requests of the engine to calls, and back. What is done about a call is not decided here.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use locket_core::BoxFuture;
use locket_engine::serve::{Answer, Asked, Crowd, Limits, Listener, Method, Respond, Server, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use super::wire::{self, Create, Mounting, Named, Options, SecretRequest, SecretValue, VolumeDetails};

/// The engine opens a connection for each container that it starts at once, and keeps it.
const LIMITS: Limits = Limits {
    connections: 512,
    crowd: Crowd::Waits,
    body: 8 << 20,
    time: None,
};

/// What the engine asks for. Whoever answers sees by the reply whether the engine has gone meanwhile.
#[derive(Debug)]
pub enum Call {
    /// The engine has found the plugin, as it does after each start of its own.
    Activate,
    /// Make a volume.
    Create {
        /// Its name.
        name: String,
        /// Its options.
        options: Options,
        /// Whether it was made.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Remove a volume.
    Remove {
        /// Its name.
        name: String,
        /// Whether it is gone.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// A container is about to use a volume.
    Mount {
        /// The volume's name.
        name: String,
        /// The same in the call that ends it.
        id: String,
        /// Where the files are.
        reply: oneshot::Sender<Result<PathBuf, String>>,
    },
    /// A container does not use a volume any more.
    Unmount {
        /// The volume's name.
        name: String,
        /// The same as in the call that began it.
        id: String,
        /// Whether that is so.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Tell of one volume.
    Get {
        /// Its name.
        name: String,
        /// What there is to tell.
        reply: oneshot::Sender<Result<VolumeDetails, String>>,
    },
    /// Tell of all volumes.
    List {
        /// What there is to tell.
        reply: oneshot::Sender<Vec<VolumeDetails>>,
    },
    /// A task of a swarm service needs a secret.
    GetSecret {
        /// Which one, and for whom.
        request: SecretRequest,
        /// Its value.
        reply: oneshot::Sender<Result<SecretValue, String>>,
    },
}

/// Calls as they come in.
pub type Calls = mpsc::Receiver<Call>;

/// Calls that wait to be looked at.
const MOST_WAITING: usize = 256;

/// Serves the engine on `listener`, until what is given back is dropped.
///
/// # Errors
/// The runtime does not take the listener.
pub fn serve(listener: std::os::unix::net::UnixListener) -> io::Result<(Server, Calls)> {
    let (to, calls) = mpsc::channel(MOST_WAITING);
    let server = Server::start(Listener::Unix(listener), LIMITS, Arc::new(Desk { to }))?;
    Ok((server, calls))
}

struct Desk {
    to: mpsc::Sender<Call>,
}

impl Respond for Desk {
    fn respond<'a>(&'a self, asked: Asked) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if asked.method != Method::POST {
                return Answer::text(StatusCode::METHOD_NOT_ALLOWED, String::new());
            }
            match self.answer(&asked).await {
                Some(result) => {
                    let body = result.unwrap_or_else(|reason| wire::failed(&reason));
                    Answer {
                        content_type: wire::CONTENT_TYPE,
                        body: body.into(),
                        ..Answer::text(StatusCode::OK, String::new())
                    }
                }
                None => Answer::text(StatusCode::NOT_FOUND, String::new()),
            }
        })
    }
}

impl Desk {
    /// The body of the answer, or what is wrong; `None` to what no plugin of this kind is asked.
    async fn answer(&self, asked: &Asked) -> Option<Result<Vec<u8>, String>> {
        Some(match asked.path.as_str() {
            "/Plugin.Activate" => {
                // The engine waits for this in its start: nobody else is waited for.
                let _ = self.to.try_send(Call::Activate);
                Ok(wire::activation())
            }
            "/VolumeDriver.Capabilities" => Ok(wire::capabilities()),
            "/VolumeDriver.Create" => match read::<Create>(asked) {
                Ok(Create { name, opts }) => {
                    let options = opts.unwrap_or_default();
                    let call = |reply| Call::Create { name, options, reply };
                    self.done(call).await
                }
                Err(reason) => Err(reason),
            },
            "/VolumeDriver.Remove" => match read::<Named>(asked) {
                Ok(Named { name }) => self.done(|reply| Call::Remove { name, reply }).await,
                Err(reason) => Err(reason),
            },
            "/VolumeDriver.Mount" => match read::<Mounting>(asked) {
                Ok(Mounting { name, id }) => {
                    let mounted = self.ask(|reply| Call::Mount { name, id, reply }).await;
                    mounted
                        .and_then(|mounted| mounted)
                        .map(|path| wire::mountpoint(Some(path)))
                }
                Err(reason) => Err(reason),
            },
            "/VolumeDriver.Unmount" => match read::<Mounting>(asked) {
                Ok(Mounting { name, id }) => self.done(|reply| Call::Unmount { name, id, reply }).await,
                Err(reason) => Err(reason),
            },
            "/VolumeDriver.Path" => self
                .get(asked)
                .await
                .map(|found| wire::mountpoint(found.mountpoint)),
            "/VolumeDriver.Get" => self.get(asked).await.map(|found| wire::volume(&found)),
            "/VolumeDriver.List" => {
                let all = self.ask(|reply| Call::List { reply }).await;
                all.map(|all| wire::volumes(&all))
            }
            "/SecretProvider.GetSecret" => match read::<SecretRequest>(asked) {
                Ok(request) => {
                    let value = self.ask(|reply| Call::GetSecret { request, reply }).await;
                    value.and_then(|value| value).map(|value| wire::secret(&value))
                }
                Err(reason) => Err(reason),
            },
            _ => return None,
        })
    }

    async fn get(&self, asked: &Asked) -> Result<VolumeDetails, String> {
        let Named { name } = read(asked)?;
        self.ask(|reply| Call::Get { name, reply }).await?
    }

    async fn done(
        &self,
        call: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Call,
    ) -> Result<Vec<u8>, String> {
        self.ask(call).await?.map(|()| wire::nothing())
    }

    async fn ask<T>(&self, call: impl FnOnce(oneshot::Sender<T>) -> Call) -> Result<T, String> {
        const ENDING: &str = "the plugin locket is ending";
        let (reply, answer) = oneshot::channel();
        self.to.send(call(reply)).await.map_err(|_| ENDING.to_owned())?;
        answer.await.map_err(|_| ENDING.to_owned())
    }
}

fn read<T: DeserializeOwned>(asked: &Asked) -> Result<T, String> {
    serde_json::from_slice(&asked.body)
        .map_err(|_| format!("{} has a body that is not of its protocol", asked.path))
}
