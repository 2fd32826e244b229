//! Studies, as a person asks for them.

use super::{Calls, Session, status, unreadable};
use crate::encoding::canonical_json;
use crate::grpc::MESSAGE_BYTES_MAX;
use crate::grpc::v1;
use crate::grpc::v1::studies_client::StudiesClient;
use crate::problem::Problem;
use crate::study::{Study, StudyView};

fn view(json: &[u8]) -> Result<StudyView, Problem> {
    serde_json::from_slice(json).map_err(|e| unreadable("study", &e))
}

impl Session {
    fn study_service(&self) -> StudiesClient<Calls> {
        StudiesClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Drafts a study.
    ///
    /// # Errors
    /// The engine's.
    pub async fn draft_study(&self, study: &Study) -> Result<StudyView, Problem> {
        let request = v1::DraftStudyRequest { study: canonical_json(study) };
        view(&self.study_service().draft(request).await.map_err(status)?.into_inner().view)
    }

    /// A study with every hospital's word.
    ///
    /// # Errors
    /// The engine's.
    pub async fn study(&self, id: &str) -> Result<StudyView, Problem> {
        let request = v1::GetStudyRequest { id: id.to_owned() };
        view(&self.study_service().get(request).await.map_err(status)?.into_inner().view)
    }

    /// The studies that the member may read.
    ///
    /// # Errors
    /// The engine's.
    pub async fn studies(&self) -> Result<Vec<StudyView>, Problem> {
        let listed = self.study_service().list(v1::ListStudiesRequest {}).await.map_err(status)?;
        listed.into_inner().views.iter().map(|json| view(json)).collect()
    }

    /// Says something of a study.
    ///
    /// # Errors
    /// The engine's.
    pub async fn decide_study(&self, word: v1::DecideStudyRequest) -> Result<StudyView, Problem> {
        view(&self.study_service().decide(word).await.map_err(status)?.into_inner().view)
    }

    /// Closes a study.
    ///
    /// # Errors
    /// The engine's.
    pub async fn close_study(&self, id: &str) -> Result<StudyView, Problem> {
        let request = v1::CloseStudyRequest { id: id.to_owned() };
        view(&self.study_service().close(request).await.map_err(status)?.into_inner().view)
    }
}
