//! Who may see the admin pages, and who may change something through them.
//!
//! Health checks are for all: who probes them, a kubelet or a load balancer, has no token, and they say one word.
//! Everything else asks for the token where there is one. Without one admin listens on a loopback address only, where
//! whoever has a login is trusted; a browser is not, which sends what any page tells it to.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use subtle::{Choice, ConstantTimeEq};

use crate::config::{Settings, UsageError};
use crate::files;
use crate::protocol::http::host;

/// The variable that may hold the token itself.
pub const VARIABLE: &str = "TTGUARD_ADMIN_TOKEN";

/// The name that goes with the token where a browser asks for name and password.
const USER: &str = "ttguard";

/// Bytes of the token's file, at most: far more than the longest token and its line's end.
const TOKEN_FILE_MAX: u64 = 4096;

/// What a request must show.
pub struct Access {
    /// Values of the `Authorization` header that are right; empty where none is asked for.
    right: Vec<String>,
    /// Names under which it may be asked where none is asked for.
    hosts: Vec<String>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Access")
            .field("has_token", &self.has_token())
            .finish()
    }
}

/// What a request may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It shows no token, or a wrong one.
    Unauthorized,
    /// A browser sends it for a page of someone else.
    Foreign,
    /// It asks for a name that is not known to be ours: a page of someone else may have made its own name point here.
    Misnamed,
}

impl Access {
    /// Takes the token from the file that the settings name, or else from the environment.
    pub fn new(settings: &Settings, variable: Option<&str>) -> Result<Self, UsageError> {
        let token = match (&settings.admin_token_file, variable) {
            (Some(file), _) => Some((read(file)?, file.display().to_string())),
            (None, Some(token)) => Some((token.to_owned(), VARIABLE.to_owned())),
            (None, None) => None,
        };
        let Some((token, place)) = token else {
            return Ok(Self {
                right: Vec::new(),
                hosts: settings.admin_hosts.clone(),
            });
        };
        if !(16..=512).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UsageError::new(
                place,
                "no such token",
                "16 to 512 visible ASCII characters",
            ));
        }
        let basic = STANDARD.encode(format!("{USER}:{token}"));
        Ok(Self {
            right: vec![format!("Bearer {token}"), format!("Basic {basic}")],
            hosts: settings.admin_hosts.clone(),
        })
    }

    fn has_token(&self) -> bool {
        !self.right.is_empty()
    }

    /// Whether admin may listen there.
    pub fn may_listen(&self, address: SocketAddr) -> Result<(), UsageError> {
        if self.has_token() || address.ip().to_canonical().is_loopback() {
            Ok(())
        } else {
            Err(UsageError::new(
                "admin",
                format_args!("{address} can be reached from other machines, and there is no token"),
                format_args!("a loopback address, or a token by admin_token_file or {VARIABLE}"),
            ))
        }
    }

    /// Whether a request with these headers may see what is not for all.
    pub fn may_see(&self, headers: &HeaderMap) -> Result<(), Denied> {
        if !self.has_token() {
            // With a token it does not matter: a browser keeps that for the name under which it was given.
            let mut hosts = headers.get_all(HOST).iter();
            let is_ours = hosts.all(|host| host::is_ours(host.as_bytes(), &self.hosts));
            return if is_ours { Ok(()) } else { Err(Denied::Misnamed) };
        }
        let shown = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        // Every comparison is made to its end: how long it takes says nothing about what is right.
        let equal = |right: &String| right.as_bytes().ct_eq(shown);
        let is_right = self.right.iter().map(equal).fold(Choice::from(0), |any, one| any | one);
        if bool::from(is_right) {
            Ok(())
        } else {
            Err(Denied::Unauthorized)
        }
    }

    /// Whether a request with these headers may change something.
    pub fn may_change(&self, headers: &HeaderMap) -> Result<(), Denied> {
        self.may_see(headers)?;
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(());
        };
        let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
        let own = [b"http://", host].concat();
        if origin.as_bytes() == own {
            Ok(())
        } else {
            Err(Denied::Foreign)
        }
    }
}

fn read(file: &Path) -> Result<String, UsageError> {
    let text = files::read_text(file, TOKEN_FILE_MAX).map_err(|problem| {
        let problem = format!("cannot read {}: {problem}", file.display());
        UsageError::new("admin_token_file", problem, "a readable file that holds the token")
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn access(token: Option<&str>) -> Access {
        Access::new(&Settings::default(), token).expect("a fair token")
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| ((*name).parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_the_token_opens_what_it_guards() {
        let access = access(Some(TOKEN));
        let see = |value: &str| access.may_see(&headers(&[("authorization", value)]));
        assert_eq!(see("Bearer 0123456789abcdef"), Ok(()));
        // printf ttguard:0123456789abcdef | base64
        assert_eq!(see("Basic dHRndWFyZDowMTIzNDU2Nzg5YWJjZGVm"), Ok(()));
        for wrong in [
            "",
            "Bearer ",
            "Bearer 0123456789abcdeF",
            "0123456789abcdef",
            "Bearer 0123456789abcdef ",
        ] {
            assert_eq!(see(wrong), Err(Denied::Unauthorized), "{wrong:?}");
        }
        assert_eq!(access.may_see(&HeaderMap::new()), Err(Denied::Unauthorized));
        assert!(!format!("{access:?}").contains(TOKEN));
    }

    #[test]
    fn without_a_token_admin_stays_on_this_machine() {
        for (address, allowed) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(access(None).may_listen(address).is_ok(), allowed, "{address}");
            assert!(access(Some(TOKEN)).may_listen(address).is_ok());
        }
    }

    #[test]
    fn a_page_of_someone_else_changes_nothing() {
        let access = access(None);
        let change = |origin| access.may_change(&headers(&[("host", "127.0.0.1:9178"), ("origin", origin)]));
        assert_eq!(change("http://127.0.0.1:9178"), Ok(()));
        assert_eq!(change("http://evil.example"), Err(Denied::Foreign));
        assert_eq!(change("null"), Err(Denied::Foreign));
        assert_eq!(access.may_change(&HeaderMap::new()), Ok(()));
    }

    #[test]
    fn without_a_token_a_name_that_anyone_may_own_sees_nothing() {
        let settings = Settings {
            admin_hosts: vec!["Guard.example".to_owned()],
            ..Settings::default()
        };
        let open = Access::new(&settings, None).expect("no token");
        let see = |host: &str| open.may_see(&headers(&[("host", host)]));
        for ours in [
            "localhost",
            "LOCALHOST:9178",
            "127.0.0.1:9178",
            "[::1]:9178",
            "10.1.2.3",
            "guard.EXAMPLE:1",
        ] {
            assert_eq!(see(ours), Ok(()), "{ours:?}");
        }
        for theirs in [
            "evil.example",
            "evil.example:9178",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "a b",
        ] {
            assert_eq!(see(theirs), Err(Denied::Misnamed), "{theirs:?}");
            assert_eq!(open.may_change(&headers(&[("host", theirs)])), Err(Denied::Misnamed));
        }
        // No browser leaves it out, nor sends it twice.
        assert_eq!(open.may_see(&HeaderMap::new()), Ok(()));
        let mut twice = headers(&[("host", "localhost")]);
        twice.append("host", "evil.example".parse().expect("a value"));
        assert_eq!(open.may_see(&twice), Err(Denied::Misnamed));
        let (name, token) = (("host", "evil.example"), ("authorization", "Bearer 0123456789abcdef"));
        assert_eq!(access(Some(TOKEN)).may_see(&headers(&[name, token])), Ok(()));
        assert_eq!(
            access(Some(TOKEN)).may_see(&headers(&[name])),
            Err(Denied::Unauthorized)
        );
    }

    #[test]
    fn a_token_that_can_be_guessed_or_not_be_sent_is_refused() {
        for token in [
            "",
            "0123456789abcde",
            "0123456789 abcdef",
            "0123456789abcdef\n",
            &"x".repeat(513),
        ] {
            let error = Access::new(&Settings::default(), Some(token))
                .expect_err(token)
                .to_string();
            assert!(error.starts_with(VARIABLE) && error.contains("16 to 512"), "{error}");
        }
    }
}
