//! The node's calls about studies.

use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;

use crate::encoding::canonical_json;
use crate::grpc::MESSAGE_BYTES_MAX;
use crate::grpc::client;
use crate::grpc::status::problem_of;
use crate::grpc::v1::studies_client::StudiesClient;
use crate::grpc::v1::{self, decide_study_request::Word};
use crate::party::connect::Proxy;
use crate::party::node::Node;
use crate::problem::{Problem, ProblemKind};
use crate::study::{CoSignature, SignedDecision, StudyView};

/// How often a running node counts words and tells its own.
const SYNC: Duration = Duration::from_secs(20);

/// The engine, as a node asks it about studies.
pub struct Engine(StudiesClient<Channel>);

fn unreadable(error: &serde_json::Error) -> Problem {
    Problem::new(ProblemKind::Internal, "engine.unreadable", format!("a study does not parse: {error}"))
}

fn status(status: tonic::Status) -> Problem {
    problem_of(&status)
}

fn view(json: &[u8]) -> Result<StudyView, Problem> {
    serde_json::from_slice(json).map_err(|e| unreadable(&e))
}

impl Engine {
    /// Connects under the node's certificate.
    ///
    /// # Errors
    /// `engine.unreachable`.
    pub async fn open(node: &Node, proxy: Option<Proxy>) -> Result<Self, Problem> {
        Ok(Self::over(client::connect(&node.membership().target(proxy)?).await?))
    }

    /// The same over a channel that is open.
    #[must_use]
    pub fn over(channel: Channel) -> Self {
        let service = StudiesClient::new(channel);
        Self(
            service.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX),
        )
    }

    /// A study.
    ///
    /// # Errors
    /// The engine's.
    pub async fn get(&self, id: &str) -> Result<StudyView, Problem> {
        let request = v1::GetStudyRequest { id: id.to_owned() };
        view(&self.0.clone().get(request).await.map_err(status)?.into_inner().view)
    }

    /// The studies that the engine tells of.
    ///
    /// # Errors
    /// The engine's.
    pub async fn list(&self) -> Result<Vec<StudyView>, Problem> {
        let reply = self.0.clone().list(v1::ListStudiesRequest {}).await.map_err(status)?.into_inner();
        reply.views.iter().map(|json| view(json)).collect()
    }

    async fn tell(&self, id: &str, word: Word) -> Result<StudyView, Problem> {
        let request = v1::DecideStudyRequest { id: id.to_owned(), word: Some(word) };
        view(&self.0.clone().decide(request).await.map_err(status)?.into_inner().view)
    }

    /// Tells the hospital's word.
    ///
    /// # Errors
    /// The engine's.
    pub async fn decide(&self, id: &str, signed: &SignedDecision) -> Result<StudyView, Problem> {
        self.tell(id, Word::Decision(canonical_json(signed))).await
    }

    /// Tells an administrator's word.
    ///
    /// # Errors
    /// The engine's.
    pub async fn cosign(&self, id: &str, said: &CoSignature) -> Result<StudyView, Problem> {
        self.tell(id, Word::Cosignature(canonical_json(said))).await
    }

    /// Counts administrators' words, signs what they come to, and tells the engine each of the hospital's words that it
    /// has not heard; how many it told.
    ///
    /// # Errors
    /// The engine's, or storage.
    pub async fn sync(&self, node: &Arc<Node>) -> Result<usize, Problem> {
        let mut told = 0;
        for view in self.list().await? {
            let counted = node.clone();
            let seen = view.clone();
            let word = tokio::task::spawn_blocking(move || {
                let counted_now = counted.count_words(&seen)?;
                if counted_now.is_some() { Ok(counted_now) } else { counted.own_decision(&seen.study.id) }
            });
            let word = word.await.map_err(|e| Problem::internal(&e))??;
            let Some(word) = word.filter(|word| view.decision_of(node.name()) != Some(&word.decision)) else {
                continue;
            };
            if word.decision.digest == view.digest {
                self.decide(&view.study.id, &word).await?;
                told += 1;
            }
        }
        Ok(told)
    }
}

/// Keeps counting and telling as long as the channel lives.
pub(super) async fn keep_in_step(node: Arc<Node>, channel: Channel) {
    let engine = Engine::over(channel);
    loop {
        match engine.sync(&node).await {
            Ok(0) => {}
            Ok(told) => tracing::info!(told, "told the engine of decisions on studies"),
            Err(problem) => tracing::info!(%problem, "studies are not in step with the engine"),
        }
        tokio::time::sleep(SYNC).await;
    }
}
