//! Notices outside the house: each is posted to the hospital's webhook until it is taken, with the hospital's signature.

use std::sync::Arc;
use std::time::Duration;

use super::node::Node;
use crate::problem::{Problem, ProblemKind};

/// Context of a notice's signature.
pub const NOTICE: &str = "ward/v1/notice";
/// Limit of one attempt.
const LIMIT: Duration = Duration::from_secs(10);
/// How often a running node looks for notices.
const LOOK: Duration = Duration::from_secs(5);
/// Longest pause between two attempts, milliseconds.
const PAUSE_MS_MAX: u64 = 3_600_000;

/// Milliseconds to wait after so many attempts in vain.
fn pause_ms(attempts: u32) -> u64 {
    1_000u64.checked_shl(attempts.min(20)).unwrap_or(PAUSE_MS_MAX).min(PAUSE_MS_MAX)
}

fn client() -> Result<reqwest::Client, Problem> {
    let built =
        crate::http::client().timeout(LIMIT).user_agent(concat!("ward/", env!("CARGO_PKG_VERSION"))).build();
    built.map_err(|e| Problem::new(ProblemKind::Unavailable, "notify.client", e.without_url().to_string()))
}

/// Posts what is due; how many were taken. A webhook that does not answer is tried again later.
///
/// # Errors
/// Storage.
pub async fn deliver(node: &Arc<Node>) -> Result<usize, Problem> {
    let Some(url) = node.config().webhook.clone() else { return Ok(0) };
    let due = node.store().notices_due(node.now_ms(), 50)?;
    if due.is_empty() {
        return Ok(0);
    }
    let client = client()?;
    let mut taken = 0;
    for notice in due {
        let signature = hex::encode(node.sign(NOTICE, &[notice.json.as_bytes()]));
        let posted = client
            .post(&url)
            .header("content-type", "application/json")
            .header("ward-hospital", node.name())
            .header("ward-signature", signature)
            .body(notice.json.clone())
            .send()
            .await;
        let now = node.now_ms();
        let again_ms = match posted.and_then(reqwest::Response::error_for_status) {
            Ok(_) => None,
            Err(error) => {
                let error = error.without_url();
                tracing::warn!(%error, notice = notice.seq, "a notice was not taken; trying again");
                Some(now + pause_ms(notice.attempts))
            }
        };
        taken += usize::from(again_ms.is_none());
        node.store().notice_tried(notice.seq, now, again_ms)?;
    }
    Ok(taken)
}

/// Keeps delivering.
pub(super) async fn keep_delivering(node: Arc<Node>) {
    loop {
        if let Err(problem) = deliver(&node).await {
            tracing::warn!(%problem, "notices are not delivered");
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_no_further() {
        assert_eq!([pause_ms(0), pause_ms(1), pause_ms(5)], [1_000, 2_000, 32_000]);
        assert!((0..200).all(|n| pause_ms(n) <= PAUSE_MS_MAX));
        assert_eq!(pause_ms(u32::MAX), PAUSE_MS_MAX);
    }
}
