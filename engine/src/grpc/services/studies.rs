//! The studies service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::grpc::peer;
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, decide_study_request, studies_server};
use crate::job::Engine;
use crate::job::studies::{Word, view_json};
use crate::problem::{Problem, ProblemKind};
use crate::study::StudyView;

/// The service.
pub struct StudiesService(pub Arc<Engine>);

fn reply(view: Result<StudyView, Problem>) -> Result<Response<v1::StudyReply>, Status> {
    Ok(Response::new(v1::StudyReply { view: view_json(&view.map_err(status_of)?) }))
}

#[tonic::async_trait]
impl studies_server::Studies for StudiesService {
    async fn draft(
        &self,
        request: Request<v1::DraftStudyRequest>,
    ) -> Result<Response<v1::StudyReply>, Status> {
        let caller = peer::allowed(&self.0, &request, "Studies.Draft").await?;
        reply(self.0.draft_study(&caller, &request.into_inner().study).await)
    }

    async fn get(&self, request: Request<v1::GetStudyRequest>) -> Result<Response<v1::StudyReply>, Status> {
        let caller = peer::allowed(&self.0, &request, "Studies.Get").await?;
        reply(self.0.study_for(&caller, &request.into_inner().id).await)
    }

    async fn list(
        &self,
        request: Request<v1::ListStudiesRequest>,
    ) -> Result<Response<v1::ListStudiesReply>, Status> {
        let caller = peer::allowed(&self.0, &request, "Studies.List").await?;
        let views = self.0.studies_for(&caller).await.map_err(status_of)?;
        Ok(Response::new(v1::ListStudiesReply { views: views.iter().map(view_json).collect() }))
    }

    async fn decide(
        &self,
        request: Request<v1::DecideStudyRequest>,
    ) -> Result<Response<v1::StudyReply>, Status> {
        let caller = peer::allowed(&self.0, &request, "Studies.Decide").await?;
        let v1::DecideStudyRequest { id, word } = request.into_inner();
        let word = match &word {
            Some(decide_study_request::Word::Decision(json)) => Word::Decision(json),
            Some(decide_study_request::Word::Cosignature(json)) => Word::CoSignature(json),
            None => {
                let problem =
                    Problem::new(ProblemKind::Validation, "request.malformed", "a decision without a word");
                return Err(status_of(problem));
            }
        };
        reply(self.0.decide_study(&caller, &id, word).await)
    }

    async fn close(
        &self,
        request: Request<v1::CloseStudyRequest>,
    ) -> Result<Response<v1::StudyReply>, Status> {
        let caller = peer::allowed(&self.0, &request, "Studies.Close").await?;
        reply(self.0.close_study(&caller, &request.into_inner().id).await)
    }
}
