//! The handle that other threads have of the resolver.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime;
use tokio::sync::{mpsc, watch};

use super::caller::{Answer, Caller};
use super::desk::{Desk, Message};
use super::name::Name;
use super::options::Options;
use super::standing::{Standing, StoreHealth};
use crate::{Catalog, Store};

/// Looks users up, in a thread of its own.
///
/// Dropping it ends the thread; who waits then gets [`Answer::Unavailable`].
#[derive(Debug)]
pub struct Resolver {
    /// Taken when it is dropped, which is what ends the thread.
    messages: Option<mpsc::UnboundedSender<Message>>,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    catalog: watch::Receiver<Arc<Catalog>>,
    stores: Mutex<Vec<Arc<Standing>>>,
    handle: runtime::Handle,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    /// Starts the thread; the stores are asked in this order. No store is waited for.
    ///
    /// # Errors
    /// The thread or its runtime cannot be made.
    pub fn start(stores: Vec<Arc<dyn Store>>, options: Options) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (mut resolver, desk) = Self::assemble(stores, options, handle);
        let thread = std::thread::Builder::new().name("stores".to_owned()).spawn(move || {
            runtime.block_on(desk);
            // A driver's blocking work (a name look-up) is not waited for.
            runtime.shutdown_background();
        })?;
        resolver.thread = Some(thread);
        Ok(resolver)
    }

    /// Asks for a user. Never blocks: the callback is called by the resolver's thread within a
    /// second, and must not block either; where too many wait already, it is called at once.
    pub fn find(&self, realm: &str, user: &str, answer: impl FnOnce(Answer) + Send + 'static) {
        let Some(name) = Name::new(realm, user) else { return answer(Answer::Unknown) };
        let caller = Caller::admit(&self.waiting, self.most_waiting, Box::new(answer));
        if let Some(caller) = caller {
            self.send(Message::Find(name, caller));
        }
    }

    /// What is known of this user is not true any more: neither memory nor a look-up under way
    /// answers a question that comes later.
    pub fn forget(&self, realm: &str, user: &str) {
        if let Some(name) = Name::new(realm, user) {
            self.send(Message::Forget(name));
        }
    }

    /// Asks other stores from now on, for what is under way too. Where a store of the same name
    /// was there before, its last catalogue stays until it is read again. Without any store
    /// every answer is [`Answer::Unavailable`] and the catalogue is empty.
    pub fn replace(&self, stores: Vec<Arc<dyn Store>>) {
        let mut current = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let stands: Vec<Arc<Standing>> =
            stores.into_iter().map(|store| stand(store, &current)).collect();
        current.clone_from(&stands);
        self.send(Message::Replace(stands));
    }

    /// What the stores say of realms, all as one. While a store is down its last word stays.
    ///
    /// The value is marked as changed, even if it is empty, when every store's catalogue has
    /// been read once or could not be (within [`Options::deadline`]); then on every change.
    #[must_use]
    pub fn catalog(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.clone()
    }

    /// How each store does, in their order.
    #[must_use]
    pub fn health(&self) -> Vec<StoreHealth> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.iter().map(|standing| standing.health()).collect()
    }

    /// Where a store's [`Writer`](crate::Writer) is best used: the connections belong to it.
    #[must_use]
    pub const fn runtime(&self) -> &runtime::Handle {
        &self.handle
    }

    /// The handle and what serves it.
    pub(super) fn assemble(
        stores: Vec<Arc<dyn Store>>,
        options: Options,
        handle: runtime::Handle,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (messages, received) = mpsc::unbounded_channel();
        let (board, catalog) = watch::channel(Arc::default());
        let stands: Vec<_> = stores.into_iter().map(|store| stand(store, &[])).collect();
        let desk = Desk::serve(stands.clone(), options, board, received);
        let resolver = Self {
            messages: Some(messages),
            waiting: Arc::default(),
            most_waiting: options.callers,
            catalog,
            stores: Mutex::new(stands),
            handle,
            thread: None,
        };
        (resolver, desk)
    }

    /// A message that nobody takes is dropped, and a caller in it gets its answer by that.
    fn send(&self, message: Message) {
        if let Some(messages) = &self.messages {
            let _ = messages.send(message);
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.messages = None;
        if let Some(thread) = self.thread.take() {
            // It ends at once; a panic there has been logged by its hook.
            let _ = thread.join();
        }
    }
}

fn stand(store: Arc<dyn Store>, former: &[Arc<Standing>]) -> Arc<Standing> {
    let before = former.iter().find(|standing| standing.name() == store.name());
    let standing = Standing::new(Arc::clone(&store));
    Arc::new(match before {
        Some(before) => standing.follow(before),
        None => standing,
    })
}
