//! All operations, in one table (client-protocol section 4.1, `ZooDefs.OpCode`).

use super::jute::{DecodeError, Reader, Record, Writer};
use super::multi::{MultiReadRequest, MultiRequest};
use super::request::{
    AddWatchRequest, AuthRequest, CheckVersionRequest, CheckWatchesRequest, CreateRequest,
    CreateSessionRequest, CreateTtlRequest, DeleteContainerRequest, DeleteRequest, Empty,
    GetEphemeralsRequest, PathRequest, ReadRequest, ReconfigRequest, SaslRequest, SetAclRequest,
    SetDataRequest, SetWatches2Request, SetWatchesRequest, SyncRequest,
};

/// Where an operation is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// On the core that owns the connection, from its own tree.
    Local,
    /// Through the one order of the ensemble.
    Ordered,
    /// On the connection itself, whatever the session waits for.
    Connection,
    /// Never from a client: the server's own, or only inside a multi.
    Internal,
}

/// Declares the operations. One row is all the decoder and the router know of one.
macro_rules! ops {
    ($($code:literal $name:ident($request:ty) $class:ident $java:literal)*) => {
        /// A request without its header.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Request<'a> { $($name($request),)* }

        impl<'a> Request<'a> {
            /// Decodes the body of any operation, the server's own included.
            #[inline]
            pub fn decode_any(code: i32, input: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match code {
                    $($code => <$request>::decode(input).map(Self::$name),)*
                    _ => Err(DecodeError::UnknownOp(code)),
                }
            }

            /// The opcode.
            pub const fn code(&self) -> i32 {
                match self { $(Self::$name(_) => $code,)* }
            }

            /// Where it is answered.
            pub const fn class(&self) -> Class {
                match self { $(Self::$name(_) => Class::$class,)* }
            }

            /// Appends the body.
            pub fn encode(&self, out: &mut Writer<'_>) {
                match self { $(Self::$name(body) => body.encode(out),)* }
            }
        }

        /// Where the operation with that number is answered; `None` if there is none.
        pub const fn class_of(code: i32) -> Option<Class> {
            match code { $($code => Some(Class::$class),)* _ => None }
        }

        /// Java's name of the operation (`Request.op2String`).
        pub const fn name_of(code: i32) -> Option<&'static str> {
            match code { $($code => Some($java),)* _ => None }
        }

        /// The numbers, by name.
        #[allow(missing_docs, non_upper_case_globals)]
        pub mod code {
            $(pub const $name: i32 = $code;)*
        }
    };
}

ops! {
    // code  name                 request                      answered    Java's name
       1     Create              (CreateRequest<'a>)           Ordered    "create"
       2     Delete              (DeleteRequest<'a>)           Ordered    "delete"
       3     Exists              (ReadRequest<'a>)             Local      "exists"
       4     GetData             (ReadRequest<'a>)             Local      "getData"
       5     SetData             (SetDataRequest<'a>)          Ordered    "setData"
       6     GetAcl              (PathRequest<'a>)             Local      "getACL"
       7     SetAcl              (SetAclRequest<'a>)           Ordered    "setACL"
       8     GetChildren         (ReadRequest<'a>)             Local      "getChildren"
       9     Sync                (SyncRequest<'a>)             Local      "sync"
      11     Ping                (Empty)                       Local      "ping"
      12     GetChildren2        (ReadRequest<'a>)             Local      "getChildren2"
      13     Check               (CheckVersionRequest<'a>)     Internal   "check"
      14     Multi               (MultiRequest<'a>)            Ordered    "multi"
      15     Create2             (CreateRequest<'a>)           Ordered    "create2"
      16     Reconfig            (ReconfigRequest<'a>)         Ordered    "reconfig"
      17     CheckWatches        (CheckWatchesRequest<'a>)     Local      "checkWatches"
      18     RemoveWatches       (CheckWatchesRequest<'a>)     Local      "removeWatches"
      19     CreateContainer     (CreateRequest<'a>)           Ordered    "createContainer"
      20     DeleteContainer     (DeleteContainerRequest<'a>)  Internal   "deleteContainer"
      21     CreateTtl           (CreateTtlRequest<'a>)        Ordered    "createTTL"
      22     MultiRead           (MultiReadRequest<'a>)        Local      "multiRead"
     100     Auth                (AuthRequest<'a>)             Connection "auth"
     101     SetWatches          (SetWatchesRequest<'a>)       Local      "setWatches"
     102     Sasl                (SaslRequest<'a>)             Connection "sasl"
     103     GetEphemerals       (GetEphemeralsRequest<'a>)    Local      "getEphemerals"
     104     GetAllChildrenNumber(PathRequest<'a>)             Local      "getAllChildrenNumber"
     105     SetWatches2         (SetWatches2Request<'a>)      Local      "setWatches2"
     106     AddWatch            (AddWatchRequest<'a>)         Local      "addWatch"
     107     WhoAmI              (Empty)                       Local      "whoAmI"
     -10     CreateSession       (CreateSessionRequest)        Internal   "createSession"
     -11     CloseSession        (Empty)                       Ordered    "closeSession"
}

impl<'a> Request<'a> {
    /// Decodes the body of what a client sent.
    ///
    /// Operations that no client may send are [`DecodeError::UnknownOp`], although Apache takes
    /// createSession and deleteContainer from anybody (client-protocol section 4.1).
    #[inline]
    pub fn decode(code: i32, input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match class_of(code) {
            None | Some(Class::Internal) => Err(DecodeError::UnknownOp(code)),
            Some(Class::Local | Class::Ordered | Class::Connection) => {
                Self::decode_any(code, input)
            }
        }
    }
}
