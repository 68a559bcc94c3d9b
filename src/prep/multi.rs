//! multi: all of it or nothing (client-protocol section 12.3).

use super::{Prepared, Step};
use crate::wire::multi::MultiRequest;
use crate::wire::txn::{ErrorTxn, kind};
use crate::wire::{ErrorCode, Record, Writer};

impl Step<'_> {
    /// Prepares the parts in order, each against the state that the ones before it leave. After
    /// the first failure nothing of it is pending, and the remaining parts only say so.
    ///
    /// An error means that the request as a whole is refused: a part has a null that Apache's
    /// server stumbles over.
    pub(super) fn multi(&mut self, request: &MultiRequest<'_>) -> Result<Prepared, ErrorCode> {
        if request.has_null_path() {
            // Apache's server looks at all paths first, and stumbles.
            return Err(ErrorCode::MarshallingError);
        }
        let digest = self.pending.start_multi();
        let count = i32::try_from(request.len()).expect("operations are bounded");
        Writer::new(self.out).i32(count);
        let mut failure = None;
        for part in request {
            let start = self.out.len();
            if failure.is_none() {
                Writer::new(self.out).i32(part.code());
                let record = self.begin_buffer();
                match self.single(&part) {
                    Ok(()) => self.end_buffer(record),
                    Err(error) => {
                        self.pending.roll_back(digest);
                        if error == ErrorCode::MarshallingError {
                            return Err(error);
                        }
                        failure = Some(error);
                        self.out.truncate(start);
                        self.append_error(error);
                    }
                }
            } else {
                self.append_error(ErrorCode::RuntimeInconsistency);
            }
        }
        if let Some(error) = failure {
            return Ok(Prepared::Refused(error));
        }
        self.pending.keep_multi();
        Ok(Prepared::Accepted)
    }

    fn append_error(&mut self, error: ErrorCode) {
        Writer::new(self.out).i32(kind::Error);
        let record = self.begin_buffer();
        ErrorTxn { err: error.code() }.encode(&mut Writer::new(self.out));
        self.end_buffer(record);
    }

    /// A part's record is a buffer; its length is known when it is written.
    fn begin_buffer(&mut self) -> usize {
        Writer::new(self.out).i32(0);
        self.out.len()
    }

    fn end_buffer(&mut self, start: usize) {
        let length = i32::try_from(self.out.len() - start).expect("a record is below 2 GiB");
        self.out[start - 4..start].copy_from_slice(&length.to_be_bytes());
    }
}
