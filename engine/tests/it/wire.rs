//! The wire: who gets in, what is a frame, what is a request. Whatever is refused leaves nothing behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::sync::Arc;

use ward_engine::clock::now_ms;
use ward_engine::encoding::{Digest, HexBytes, canonical_json};
use ward_engine::grpc::client::{self, Target};
use ward_engine::grpc::status::problem_of;
use ward_engine::grpc::v1::parties_client::PartiesClient;
use ward_engine::grpc::v1::receipts_client::ReceiptsClient;
use ward_engine::grpc::v1::{self, node_frame, put_key_request, submit_request};
use ward_engine::identity::{CertificateAuthority, Claim, Identity, Role, possession_parts};
use ward_engine::member::{ENROLMENT, Membership, pem_of};
use ward_engine::party::aggregate::REQUEST;
use ward_engine::party::ceremony::parameters;
use ward_engine::party::task::Request;
use ward_engine::problem::{Problem, ProblemKind};
use ward_engine::store::JobFilter;
use ward_math::Secret;
use ward_protocols::he::ReceiverSecret;

use crate::node_house::{CONSORTIUM, FLOOR, PROFILE};
use crate::wire_stand::{PATIENCE, Stand, Stream, hello_of, honest, publication_of, seal};

/// The engine as this key and certificate see it.
fn target_of(stand: &Stand, identity: Option<(&Identity, &[u8])>) -> Target {
    let identity_pem = identity.map(|(key, der)| (pem_of(der), key.to_pem().unwrap()));
    Target {
        url: stand.url.clone(),
        authority_pem: pem_of(stand.ada.authority.der()),
        identity_pem,
        proxy: None,
    }
}

/// What listing the hospitals gives.
async fn list_as(target: &Target) -> Result<(), Problem> {
    let channel = client::connect(target).await?;
    let listed = PartiesClient::new(channel).list(v1::ListPartiesRequest {}).await;
    listed.map(|_| ()).map_err(|status| problem_of(&status))
}

fn published(stand: &Stand) -> usize {
    stand.folder.store().publications().unwrap().len()
}

fn jobs_kept(stand: &Stand) -> usize {
    let filter = JobFilter { owner: None, state: None, before: None, limit: 100 };
    stand.folder.store().jobs(&filter).unwrap().len()
}

// ---- who gets in ----

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_certificate_of_this_consortium_in_force() {
    let stand = Stand::start(0).await;
    list_as(&stand.ada.target(None).unwrap()).await.unwrap();
    let problem = list_as(&target_of(&stand, None)).await.unwrap_err();
    assert_eq!((problem.code.as_str(), problem.kind), ("identity.certificate", ProblemKind::Authorization));
    let now_s = now_ms() / 1000;
    let key = Identity::generate().unwrap();
    // Another consortium's authority of the same name; this consortium's, long ago; and for somebody never enrolled.
    let other = CertificateAuthority::create(CONSORTIUM, now_s).unwrap();
    let own = CertificateAuthority::load(&stand.dir.path().join("engine/ca")).unwrap();
    let foreign = other.issue(&key.public(), Role::Researcher, "ada", now_s, 30).unwrap().der;
    let expired = own.issue(&key.public(), Role::Researcher, "ada", now_s - 99 * 86_400, 30).unwrap().der;
    for certificate in [&foreign, &expired] {
        // TLS refuses these before any call: no service is reached that could say why.
        let problem = list_as(&target_of(&stand, Some((&key, certificate)))).await.unwrap_err();
        assert!(["engine.status", "engine.unreachable"].contains(&problem.code.as_str()), "{problem}");
    }
    let unknown = own.issue(&key.public(), Role::Researcher, "eve", now_s, 30).unwrap().der;
    let second = own.issue(&key.public(), Role::Researcher, "ada", now_s, 30).unwrap().der;
    let promoted = own.issue(&stand.ada.identity.public(), Role::Operator, "ada", now_s, 30).unwrap().der;
    for (key, certificate) in [(&key, &unknown), (&key, &second), (&stand.ada.identity, &promoted)] {
        let problem = list_as(&target_of(&stand, Some((key, certificate)))).await.unwrap_err();
        assert_eq!(problem.code, "identity.revoked", "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_member_does_not_get_in() {
    let stand = Stand::start(0).await;
    let target = stand.bob.target(None).unwrap();
    list_as(&target).await.unwrap();
    stand.folder.revoke("bob").unwrap();
    assert_eq!(list_as(&target).await.unwrap_err().code, "identity.revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_but_enrolment_asks_for_a_certificate() {
    let stand = Stand::start(0).await;
    let channel = client::connect(&target_of(&stand, None)).await.unwrap();
    let mut jobs = v1::jobs_client::JobsClient::new(channel.clone());
    let mut receipts = ReceiptsClient::new(channel.clone());
    let mut catalogue = v1::catalogue_client::CatalogueClient::new(channel.clone());
    let mut parties = PartiesClient::new(channel);
    let id = || "01J0000000000000000000000".to_owned();
    let statuses = [
        jobs.submit(v1::SubmitRequest { job: None }).await.err(),
        jobs.explain(v1::ExplainRequest::default()).await.err(),
        jobs.get(v1::GetJobRequest { id: id() }).await.err(),
        jobs.list(v1::ListJobsRequest::default()).await.err(),
        jobs.watch(v1::WatchRequest { id: id(), after: 0 }).await.err(),
        jobs.result(v1::ResultRequest { id: id() }).await.err(),
        jobs.cancel(v1::CancelRequest { id: id() }).await.err(),
        jobs.put_key(tokio_stream::iter([v1::PutKeyRequest { part: None }])).await.err(),
        receipts.checkpoint(v1::CheckpointRequest {}).await.err(),
        receipts.inclusion(v1::InclusionRequest::default()).await.err(),
        receipts.consistency(v1::ConsistencyRequest::default()).await.err(),
        receipts.receipt(v1::ReceiptRequest { job: id() }).await.err(),
        receipts.tile(v1::TileRequest { path: "tile/0/000".to_owned() }).await.err(),
        catalogue.get(v1::GetCatalogueRequest {}).await.err(),
        parties.list(v1::ListPartiesRequest {}).await.err(),
        parties.probe(v1::ProbeRequest::default()).await.err(),
        parties.attach(tokio_stream::iter([v1::NodeFrame { frame: None }])).await.err(),
    ];
    for (i, status) in statuses.into_iter().enumerate() {
        let problem = problem_of(&status.unwrap_or_else(|| panic!("call {i} is open to everybody")));
        assert_eq!(problem.code, "identity.certificate", "call {i}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_does_its_own_and_no_other() {
    let stand = Stand::start(1).await;
    let attach = async |target: Target| {
        let hello = hello_of(&stand.hospitals[0]).await;
        Stream::attach(&target, Some(hello)).await.err().map(|problem| problem.code)
    };
    assert_eq!(attach(stand.ada.target(None).unwrap()).await.as_deref(), Some("authorization.denied"));
    assert_eq!(attach(stand.omar.target(None).unwrap()).await.as_deref(), Some("authorization.denied"));
    let hospital = stand.hospitals[0].membership();
    let ceremony =
        || submit_request::Job::Ceremony(v1::Ceremony { profile: PROFILE.to_owned(), ..Default::default() });
    let aggregate = || submit_request::Job::Aggregate(v1::Aggregate::default());
    for member in [&stand.ada, hospital] {
        assert_eq!(stand.submit(member, ceremony()).await.unwrap_err().code, "authorization.denied");
    }
    for member in [&stand.omar, hospital] {
        assert_eq!(stand.submit(member, aggregate()).await.unwrap_err().code, "authorization.denied");
        let put =
            stand.jobs(member).await.put_key(tokio_stream::iter([v1::PutKeyRequest { part: None }])).await;
        assert_eq!(problem_of(&put.unwrap_err()).code, "authorization.denied");
    }
    assert_eq!((published(&stand), jobs_kept(&stand)), (0, 0));
}

// ---- enrolment ----

/// Enrols with this claim, signed by this key.
async fn enrol(stand: &Stand, claim: &Claim, signer: &Identity) -> Result<Vec<u8>, Problem> {
    let parts = possession_parts(claim);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    client::enrol(&target_of(stand, None), claim, signer.sign(ENROLMENT, &parts)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_token_works_once_and_only_as_it_was_made() {
    let stand = Stand::start(0).await;
    let key = Identity::generate().unwrap();
    let token = stand.folder.token(Role::Hospital, "west", &stand.url, 1).unwrap();
    let claim = || token.claim(key.public());
    let enrolled = |name: &str| stand.folder.store().member(name).unwrap().is_some();
    let stranger = Identity::generate().unwrap();
    assert_eq!(enrol(&stand, &claim(), &stranger).await.unwrap_err().code, "enrol.proof");
    let wrong = Claim { secret: zeroize::Zeroizing::new([7; 32]), ..claim() };
    assert_eq!(enrol(&stand, &wrong, &key).await.unwrap_err().code, "enrol.token");
    let renamed = Claim { name: "east".to_owned(), ..claim() };
    assert_eq!(enrol(&stand, &renamed, &key).await.unwrap_err().code, "enrol.token");
    let promoted = Claim { role: Role::Operator, ..claim() };
    assert_eq!(enrol(&stand, &promoted, &key).await.unwrap_err().code, "enrol.token");
    let engine = Claim { role: Role::Engine, ..claim() };
    assert_eq!(enrol(&stand, &engine, &key).await.unwrap_err().code, "enrol.malformed");
    let unnamed = Claim { name: "../west".to_owned(), ..claim() };
    assert_eq!(enrol(&stand, &unnamed, &key).await.unwrap_err().code, "enrol.malformed");
    let expired = stand.folder.token(Role::Hospital, "late", &stand.url, 0).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(enrol(&stand, &expired.claim(key.public()), &key).await.unwrap_err().code, "enrol.token");
    assert!(!["west", "east", "late"].into_iter().any(enrolled));
    enrol(&stand, &claim(), &key).await.unwrap();
    assert!(enrolled("west"));
    assert_eq!(enrol(&stand, &claim(), &key).await.unwrap_err().code, "enrol.token");
    let thief = token.claim(stranger.public());
    assert_eq!(enrol(&stand, &thief, &stranger).await.unwrap_err().code, "enrol.token");
    assert_eq!(stand.folder.store().member("west").unwrap().unwrap().key, key.public());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_another_role_or_a_folder_that_is_taken_is_refused_before_it_is_used() {
    let stand = Stand::start(0).await;
    let token = stand.folder.token(Role::Researcher, "eve", &stand.url, 1).unwrap().to_text();
    let home = stand.home("eve");
    let keys = || (seal(&home), None);
    let as_hospital = Membership::enrol(&token, &[Role::Hospital], &home, keys()).await;
    assert_eq!(as_hospital.err().unwrap().code, "enrol.role");
    Membership::enrol(&token, &[Role::Researcher], &home, keys()).await.unwrap();
    let again = Membership::enrol(&token, &[Role::Researcher], &home, keys()).await;
    assert_eq!(again.err().unwrap().code, "member.exists");
}

// ---- frames ----

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_begin_with_a_good_hello_is_refused() {
    let stand = Stand::start(1).await;
    let node = &stand.hospitals[0];
    let target = node.membership().target(None).unwrap();
    let good = publication_of(node).await;
    let hello = |version, publication| {
        node_frame::Frame::Hello(v1::Hello {
            version,
            software: String::new(),
            publication: Some(publication),
            mesh: None,
        })
    };
    let altered = |change: &dyn Fn(&mut v1::Publication)| {
        let mut publication = good.clone();
        change(&mut publication);
        hello(1, publication)
    };
    let signed = |json: Vec<u8>| {
        let signature = node.membership().identity.sign("ward/v1/publication", &[&json]).0.to_vec();
        let signature = v1::Signature { signer: node.name().to_owned(), signature };
        hello(1, v1::Publication { hospital: node.name().to_owned(), json, signature: Some(signature) })
    };
    let in_anothers_name = String::from_utf8(good.json.clone()).unwrap().replacen("h-0", "h-1", 1);
    for (first, code) in [
        (None, "node.protocol"),
        (Some(node_frame::Frame::Heartbeat(v1::Heartbeat { nonce: 1 })), "node.protocol"),
        (Some(node_frame::Frame::Reply(v1::Reply::default())), "node.protocol"),
        (Some(node_frame::Frame::Body(v1::Body::default())), "node.protocol"),
        (Some(node_frame::Frame::Publication(good.clone())), "node.protocol"),
        (Some(hello(0, good.clone())), "node.version"),
        (Some(hello(2, good.clone())), "node.version"),
        (Some(altered(&|p| p.signature = None)), "publication.malformed"),
        (Some(altered(&|p| p.signature.as_mut().unwrap().signature[0] ^= 1)), "publication.signature"),
        (Some(altered(&|p| p.json.push(b' '))), "publication.signature"),
        (Some(signed(in_anothers_name.into_bytes())), "publication.malformed"),
        (Some(signed(b"{".to_vec())), "publication.malformed"),
        (Some(signed(vec![0xff, 0xfe])), "publication.malformed"),
    ] {
        let what = format!("{first:?}");
        let refused = Stream::attach(&target, first).await.err().map(|problem| problem.code);
        assert_eq!(refused.as_deref(), Some(code), "{what}");
    }
    assert_eq!(published(&stand), 0);
    stand.until_connected(0).await;
    Stream::attach(&target, Some(hello(1, good))).await.unwrap();
    assert_eq!(published(&stand), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_out_of_place_or_too_large_ends_the_stream_and_nothing_else() {
    let stand = Stand::start(2).await;
    let node = &stand.hospitals[0];
    let target = node.membership().target(None).unwrap();
    let other = hello_of(&stand.hospitals[1]).await;
    let neighbour = stand.hospitals[1].membership().target(None).unwrap();
    let mut neighbour = Stream::attach(&neighbour, Some(other)).await.unwrap();
    neighbour.next().await.unwrap();
    let bad = v1::Publication { json: b"{}".to_vec(), ..publication_of(node).await };
    for frame in [
        hello_of(node).await,
        node_frame::Frame::Publication(bad),
        node_frame::Frame::Body(v1::Body { task: 1, data: vec![0; (1 << 20) + 1], last: true }),
    ] {
        let mut stream = Stream::attach(&target, Some(hello_of(node).await)).await.unwrap();
        stream.next().await.unwrap();
        stream.send(frame).await;
        stream.until_ended().await;
        stand.until_connected(1).await;
    }
    // An answer to a task that was never set, and a piece of it, are dropped: the task may have timed out.
    let mut stream = Stream::attach(&target, Some(hello_of(node).await)).await.unwrap();
    stream.next().await.unwrap();
    stream.send(node_frame::Frame::Reply(v1::Reply { task: 99, ..v1::Reply::default() })).await;
    stream.send(node_frame::Frame::Body(v1::Body { task: 99, data: vec![1], last: true })).await;
    for stream in [&mut stream, &mut neighbour] {
        stream.send(node_frame::Frame::Heartbeat(v1::Heartbeat { nonce: 5 })).await;
        assert!(stream.next().await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_one_mebibyte_is_refused() {
    let stand = Stand::start(0).await;
    let sql = "x".repeat((1 << 20) + 1);
    let refused = stand
        .jobs(&stand.ada)
        .await
        .explain(v1::ExplainRequest { sql, ..v1::ExplainRequest::default() })
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::OutOfRange);
    let probe = v1::ProbeRequest { body: Vec::new(), reply_bytes: u32::MAX };
    let refused = PartiesClient::new(stand.channel(&stand.ada).await).probe(probe).await;
    assert_eq!(problem_of(&refused.unwrap_err()).code, "probe.size");
}

// ---- keys and requests ----

/// Frames that put a key as they say.
fn put(bytes: u64, sha256: Vec<u8>, chunks: &[(&[u8], bool)]) -> Vec<v1::PutKeyRequest> {
    let header = v1::KeyHeader { profile: PROFILE.to_owned(), sha256, bytes };
    let mut frames = vec![v1::PutKeyRequest { part: Some(put_key_request::Part::Header(header)) }];
    frames.extend(chunks.iter().map(|(data, last)| {
        let chunk = v1::Chunk { data: data.to_vec(), last: *last };
        v1::PutKeyRequest { part: Some(put_key_request::Part::Chunk(chunk)) }
    }));
    frames
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_as_announced_is_refused() {
    let stand = Stand::start(0).await;
    let digest = || Digest::of(b"abc").0.to_vec();
    let chunk_first = put(3, digest(), &[(b"abc", true)]).split_off(1);
    let two_headers = [put(3, digest(), &[]), put(3, digest(), &[])].concat();
    for frames in [
        put(3, digest(), &[(b"abd", true)]),
        put(3, digest(), &[(b"abcd", true)]),
        put(3, digest(), &[(b"ab", true)]),
        put(3, digest(), &[(b"ab", false)]),
        put(3, vec![1, 2], &[(b"abc", true)]),
        put(u64::MAX, digest(), &[(b"abc", true)]),
        put(9 << 20, digest(), &[(b"abc", true)]),
        chunk_first,
        two_headers,
        vec![v1::PutKeyRequest { part: None }],
        Vec::new(),
    ] {
        let refused = stand.jobs(&stand.ada).await.put_key(tokio_stream::iter(frames)).await;
        assert_eq!(problem_of(&refused.unwrap_err()).code, "request.malformed");
    }
    stand
        .jobs(&stand.ada)
        .await
        .put_key(tokio_stream::iter(put(3, digest(), &[(b"abc", true)])))
        .await
        .unwrap();
}

/// A request that the engine takes, and its key at the engine.
async fn request(stand: &Stand) -> Request {
    let epoch = stand.folder.store().active_epoch().unwrap().unwrap();
    let params = parameters(PROFILE, stand.hospitals.len()).unwrap();
    let key = ReceiverSecret::from_seed(&params, &Secret::new([5; 32])).public_key(&params).encode(&params);
    let pieces: Vec<(&[u8], bool)> = ward_engine::grpc::frames::pieces(&key).collect();
    let frames = put(key.len() as u64, Digest::of(&key).0.to_vec(), &pieces);
    stand.jobs(&stand.ada).await.put_key(tokio_stream::iter(frames)).await.unwrap();
    Request {
        version: 1,
        consortium: CONSORTIUM.to_owned(),
        researcher: "ada".to_owned(),
        sql: "SELECT COUNT(*) FROM labs".to_owned(),
        participants_min: 0,
        epoch: Digest::parse(&epoch.id).unwrap(),
        receiver_key: Digest::of(&key),
        route: ward_engine::query::ast::Route::Auto,
        purpose: None,
        seal_key: HexBytes::default(),
        nonce: HexBytes(vec![1; 16]),
        study: None,
        signed_unix_ms: now_ms(),
        expires_unix_ms: now_ms() + 30_000,
    }
}

fn signed_by(member: &Membership, request: Vec<u8>) -> submit_request::Job {
    let signature = member.identity.sign(REQUEST, &[&request]).0.to_vec();
    let signature = Some(v1::Signature { signer: member.member.name.clone(), signature });
    submit_request::Job::Aggregate(v1::Aggregate { request, signature })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_ada_s_now_and_here_is_refused_and_a_good_one_is_one_job() {
    let stand = Stand::with_key(2, 2, honest()).await;
    let before = jobs_kept(&stand);
    let good = request(&stand).await;
    let refused = async |code: &str, job: submit_request::Job| {
        assert_eq!(stand.submit(&stand.ada, job).await.unwrap_err().code, code);
    };
    let altered = |change: &dyn Fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        signed_by(&stand.ada, canonical_json(&request))
    };
    refused("request.consortium", altered(&|r| r.consortium = "south".to_owned())).await;
    refused("request.consortium", altered(&|r| r.researcher = "bob".to_owned())).await;
    refused("request.consortium", altered(&|r| r.version = 2)).await;
    refused("request.epoch", altered(&|r| r.epoch = Digest::of(b"other"))).await;
    refused("request.receiver_key", altered(&|r| r.receiver_key = Digest::of(b"not sent"))).await;
    refused("request.stale", altered(&|r| r.expires_unix_ms = now_ms() - 1)).await;
    refused("request.stale", altered(&|r| r.signed_unix_ms = now_ms() + 400_000)).await;
    refused("request.stale", altered(&|r| r.signed_unix_ms = u64::MAX)).await;
    let spaced = serde_json::to_vec_pretty(&good).unwrap();
    refused("request.canonical", signed_by(&stand.ada, spaced)).await;
    refused("request.unreadable", signed_by(&stand.ada, b"{}".to_vec())).await;
    refused("request.signature", signed_by(&stand.bob, canonical_json(&good))).await;
    let unsigned = v1::Aggregate { request: canonical_json(&good), signature: None };
    refused("request.signature", submit_request::Job::Aggregate(unsigned)).await;
    assert_eq!(jobs_kept(&stand), before);
    // Bob submits what ada signed.
    let stolen = signed_by(&stand.ada, canonical_json(&good));
    assert_eq!(stand.submit(&stand.bob, stolen).await.unwrap_err().code, "request.signature");
    let bytes = canonical_json(&good);
    let job = || signed_by(&stand.ada, bytes.clone());
    let (a, b) = tokio::join!(stand.submit(&stand.ada, job()), stand.submit(&stand.ada, job()));
    let first = a.unwrap();
    assert_eq!(b.unwrap().id, first.id);
    assert_eq!(stand.submit(&stand.ada, job()).await.unwrap().id, first.id);
    assert_eq!(jobs_kept(&stand), before + 1);
    let ended = stand.ended(&stand.ada, &first.id).await;
    assert_eq!(ended.state(), v1::JobState::Done, "{ended:?}");
    only_ada_gets_it(&stand, &first.id).await;
}

/// The result is ada's: nobody else sees the job, and the operator sees it without its result.
async fn only_ada_gets_it(stand: &Stand, id: &str) {
    let result = async |member: &Membership| {
        let asked = stand.jobs(member).await.result(v1::ResultRequest { id: id.to_owned() }).await;
        asked.err().map(|status| problem_of(&status).code)
    };
    assert_eq!(result(&stand.ada).await, None);
    assert_eq!(result(&stand.omar).await.as_deref(), Some("authorization.denied"));
    assert_eq!(result(&stand.bob).await.as_deref(), Some("job.unknown"));
    assert_eq!(result(stand.hospitals[0].membership()).await.as_deref(), Some("authorization.denied"));
    assert_eq!(stand.job(&stand.bob, id).await.unwrap_err().code, "job.unknown");
    stand.job(&stand.omar, id).await.unwrap();
    let cancel = stand.jobs(&stand.bob).await.cancel(v1::CancelRequest { id: id.to_owned() }).await;
    assert_eq!(problem_of(&cancel.unwrap_err()).code, "job.unknown");
    let watch = stand.jobs(&stand.bob).await.watch(v1::WatchRequest { id: id.to_owned(), after: 0 }).await;
    assert_eq!(problem_of(&watch.unwrap_err()).code, "job.unknown");
    let mut receipts = ReceiptsClient::new(stand.channel(&stand.bob).await);
    let receipt = receipts.receipt(v1::ReceiptRequest { job: id.to_owned() }).await;
    assert_eq!(problem_of(&receipt.unwrap_err()).code, "job.unknown");
    let listed = stand.jobs(&stand.bob).await.list(v1::ListJobsRequest::default()).await.unwrap();
    assert!(listed.into_inner().jobs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_consortium_does_not_take_this_engine() {
    let stand = Stand::start(1).await;
    let node: &Arc<_> = &stand.hospitals[0];
    let certificate = stand.folder.store().member("h-0").unwrap().unwrap().certificate;
    assert_eq!(node.welcome(FLOOR, CONSORTIUM, &certificate).unwrap_err().code, "identity.certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_ends_when_it_is_asked_to_although_nodes_are_connected() {
    let mut stand = Stand::with_key(2, 2, honest()).await;
    tokio::time::timeout(PATIENCE, stand.restart()).await.expect("the engine ends");
}
