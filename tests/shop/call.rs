//! A call to the shop: its service, its direction and its key.

use saga_operator::api::Direction;
use sha2::{Digest, Sha256};

/// One action of the shop, and its compensation.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// The service's name in the ledger.
    pub name: &'static str,
    /// The path to which an action posts.
    pub act: &'static str,
    /// The path to which its compensation posts.
    pub undo: &'static str,
}

const fn service(name: &'static str, act: &'static str, undo: &'static str) -> Service {
    Service { name, act, undo }
}

/// Everything that the shop serves. All paths take POST, with any body.
pub const SERVICES: &[Service] = &[
    service("stock", "/stock/reservations", "/stock/releases"),
    service("payments", "/payments/charges", "/payments/refunds"),
    service("shipping", "/shipping/shipments", "/shipping/cancellations"),
    service("mail", "/mail/messages", "/mail/retractions"),
    service("database", "/database/backups", "/database/backup-removals"),
    service("database", "/database/migrations", "/database/rollbacks"),
    service("database", "/database/switches", "/database/switch-backs"),
];

/// The parts of an idempotency key: `<scope>/<step>/<action|compensation>/<k>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key as it was sent.
    pub text: String,
    /// The owner of the step: a saga's UID, or its `idempotencyPrefix`.
    pub scope: String,
    /// The step's name.
    pub step: String,
    /// Whether the step is done or undone.
    pub direction: Direction,
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// A sentence that says what a key looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::split(text).ok_or_else(|| {
            format!(
                "Idempotency-Key {:?} is none of ours: write \
                 <scope>/<step>/<action|compensation>/<k>, such as order-1042/charge-card/action/0",
                text.chars().take(200).collect::<String>()
            )
        })
    }

    fn split(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (scope, step) = (parts.next().and_then(name)?, parts.next().and_then(name)?);
        let direction = match parts.next()? {
            "action" => Direction::Action,
            "compensation" => Direction::Compensation,
            _ => return None,
        };
        let _: u64 = parts.next()?.parse().ok()?;
        parts.next().is_none().then(|| Self { text: text.into(), scope, step, direction })
    }
}

/// Returns the text if it is a valid scope or step: it has the characters and the length that the
/// operator allows in `idempotencyPrefix`.
fn name(text: &str) -> Option<String> {
    let fits = (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    fits.then(|| text.into())
}

/// One call to a service.
#[derive(Clone, Debug)]
pub struct Call {
    /// The service that is called.
    pub service: &'static Service,
    /// Whether the path does or undoes.
    pub direction: Direction,
    /// The call's idempotency key.
    pub key: Key,
    /// The header `Saga-Attempt`, as it was sent.
    pub attempt: Option<String>,
    /// Whether the call came with an `Authorization` header.
    pub authorized: bool,
    /// SHA-256 of the body, in hexadecimal.
    pub body_hash: String,
}

impl Call {
    /// Returns the path of the call.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        match self.direction {
            Direction::Action => self.service.act,
            Direction::Compensation => self.service.undo,
        }
    }
}

/// Returns SHA-256 in hexadecimal.
#[must_use]
pub fn hash(body: &[u8]) -> String {
    format!("{:x}", Sha256::digest(body))
}
