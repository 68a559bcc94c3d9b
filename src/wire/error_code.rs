//! The errors that the protocol knows (client-protocol section 11, `KeeperException.java`).

/// Declares the error codes. One row is a number, its Rust name and Java's name.
macro_rules! error_codes {
    ($($(#[$about:meta])* $code:literal $name:ident $java:literal)*) => {
        /// Why a request was refused, as the client hears it.
        ///
        /// Clients know no other numbers; some of them fail on a number that they do not know.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum ErrorCode { $($(#[$about])* $name = $code,)* }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            pub const fn code(self) -> i32 {
                match self { $(Self::$name => $code,)* }
            }

            /// The code with that number.
            pub const fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// Java's name (`KeeperException.Code`).
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $java,)* }
            }
        }
    };
}

error_codes! {
    /// No error; inside a failed multi: rolled back.
    0 Ok "OK"
    /// Never sent.
    -1 SystemError "SYSTEMERROR"
    /// Operations behind the failing one of a multi.
    -2 RuntimeInconsistency "RUNTIMEINCONSISTENCY"
    /// Never sent.
    -3 DataInconsistency "DATAINCONSISTENCY"
    /// A client's own.
    -4 ConnectionLoss "CONNECTIONLOSS"
    /// The body was no record, or held a null or a number that is not allowed there.
    -5 MarshallingError "MARSHALLINGERROR"
    /// There is no such operation (here).
    -6 Unimplemented "UNIMPLEMENTED"
    /// A client's own.
    -7 OperationTimeout "OPERATIONTIMEOUT"
    /// Bad path, flags, TTL or reconfiguration.
    -8 BadArguments "BADARGUMENTS"
    /// Never sent by us.
    -12 UnknownSession "UNKNOWNSESSION"
    /// No quorum of the new configuration is connected and in time.
    -13 NewConfigNoQuorum "NEWCONFIGNOQUORUM"
    /// Another reconfiguration is under way.
    -14 ReconfigInProgress "RECONFIGINPROGRESS"
    /// A range marker, never sent.
    -100 ApiError "APIERROR"
    /// There is no such znode.
    -101 NoNode "NONODE"
    /// The ACL does not allow it.
    -102 NoAuth "NOAUTH"
    /// The version is not the one that was expected.
    -103 BadVersion "BADVERSION"
    /// Ephemerals have no children.
    -108 NoChildrenForEphemerals "NOCHILDRENFOREPHEMERALS"
    /// There is such a znode already.
    -110 NodeExists "NODEEXISTS"
    /// The znode has children.
    -111 NotEmpty "NOTEMPTY"
    /// The session is over.
    -112 SessionExpired "SESSIONEXPIRED"
    /// A client's own.
    -113 InvalidCallback "INVALIDCALLBACK"
    /// The ACL is empty, or has an entry that means nothing.
    -114 InvalidAcl "INVALIDACL"
    /// The credentials were refused; the connection closes.
    -115 AuthFailed "AUTHFAILED"
    /// Never on the wire: the connection closes instead.
    -118 SessionMoved "SESSIONMOVED"
    /// A write on a read-only server.
    -119 NotReadOnly "NOTREADONLY"
    /// A local session may not own ephemerals.
    -120 EphemeralOnLocalSession "EPHEMERALONLOCALSESSION"
    /// There is no such watch.
    -121 NoWatcher "NOWATCHER"
    /// A client's own.
    -122 RequestTimeout "REQUESTTIMEOUT"
    /// `reconfigEnabled` is off.
    -123 ReconfigDisabled "RECONFIGDISABLED"
    /// The server wants authentication first; the connection closes.
    -124 SessionClosedRequireSaslAuth "SESSIONCLOSEDREQUIRESASLAUTH"
    /// A hard quota would be exceeded.
    -125 QuotaExceeded "QUOTAEXCEEDED"
    /// The request waited too long and was not executed.
    -127 ThrottledOp "THROTTLEDOP"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_by_their_numbers() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(*code));
        }
        for unassigned in [1, -9, -10, -11, -15, -104, -116, -117, -126, -128] {
            assert_eq!(ErrorCode::from_code(unassigned), None);
        }
        assert_eq!(ErrorCode::NoNode.code(), -101);
        assert_eq!(ErrorCode::NoNode.name(), "NONODE");
    }
}
