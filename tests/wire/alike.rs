//! Which record answers which operation, as a client knows it.

use ringkeeper::wire::jute::{DecodeError, Reader, Record, Writer};
use ringkeeper::wire::multi::{MultiHeader, Results};
use ringkeeper::wire::op::code;
use ringkeeper::wire::reply::{
    Create2Reply, CreateReply, ErrorReply, GetAclReply, GetAllChildrenNumberReply,
    GetChildren2Reply, GetChildrenReply, GetDataReply, GetEphemeralsReply, SaslReply, StatReply,
    SyncReply, WhoAmIReply,
};
use ringkeeper::wire::request::Empty;

/// Decodes the body of a reply to `op` and encodes what came out.
pub fn reply_body(op: i32, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    fn same<'a, R: Record<'a>>(body: &'a [u8]) -> Result<Vec<u8>, DecodeError> {
        let mut skipped = Reader::new(body);
        let skipped = R::skip(&mut skipped).map(|()| skipped.remaining());
        let mut input = Reader::new(body);
        let decoded = R::decode(&mut input).map(|record| record.to_bytes());
        // Skipping and decoding are two ways through the same bytes.
        assert_eq!(skipped, decoded.as_ref().map(|_| input.remaining()).map_err(|error| *error));
        decoded
    }
    match op {
        code::Create => same::<CreateReply<'_>>(body),
        code::Create2 | code::CreateContainer | code::CreateTtl => same::<Create2Reply<'_>>(body),
        code::Exists | code::SetData | code::SetAcl => same::<StatReply>(body),
        code::GetData | code::Reconfig => same::<GetDataReply<'_>>(body),
        code::GetAcl => same::<GetAclReply<'_>>(body),
        code::GetChildren => same::<GetChildrenReply<'_>>(body),
        code::GetChildren2 => same::<GetChildren2Reply<'_>>(body),
        code::Sync => same::<SyncReply<'_>>(body),
        code::Multi | code::MultiRead => results(body),
        code::GetEphemerals => same::<GetEphemeralsReply<'_>>(body),
        code::GetAllChildrenNumber => same::<GetAllChildrenNumberReply>(body),
        code::AddWatch => same::<ErrorReply>(body),
        code::Sasl => same::<SaslReply<'_>>(body),
        code::WhoAmI => same::<WhoAmIReply<'_>>(body),
        _ => same::<Empty>(body),
    }
}

fn results(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    for result in Results::new(body) {
        result?.encode(&mut Writer::new(&mut out));
    }
    MultiHeader::END.encode(&mut Writer::new(&mut out));
    Ok(out)
}
