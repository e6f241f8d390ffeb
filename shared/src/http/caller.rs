//! The caller of a request. The API's authorizer verifies the token. A function uses only the verified
//! claims in the request context.

use std::collections::HashMap;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use lambda_http::request::RequestContext;

use crate::domain::Error;
use crate::domain::ids::{CallerKey, Key, TeamId, UserId};
use crate::domain::ledger::entry::Entry;
use crate::lambda::{App, ClaimNames};

/// A permission of a machine client, for every team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Charge, hold, restart enrichment, and read.
    Charge,
    /// Manage subscriptions, gifts, accounts and monitored accounts; restart enrichment, and read.
    Manage,
    /// Read.
    Read,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Charge, Self::Manage, Self::Read];

    /// The scope's name in a token, after the prefix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Charge => "credits:charge",
            Self::Manage => "credits:manage",
            Self::Read => "credits:read",
        }
    }
}

/// A verified caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The id of the user or of the machine client.
    pub sub: UserId,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Person { team: TeamId, is_admin: bool },
    Machine { scopes: Vec<Scope> },
}

impl Caller {
    /// The caller with these verified claims. A token with a team or a role belongs to a person, a token
    /// with neither to a machine client.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a usable `sub`; [`Error::Forbidden`] for a person without a
    /// valid team or role.
    pub fn from_claims(
        claims: &HashMap<String, String>,
        names: &ClaimNames,
    ) -> Result<Self, Error> {
        let claim = |name: &str| claims.get(name).map(String::as_str);
        let sub = claim("sub").and_then(|sub| sub.parse().ok()).ok_or(Error::Unauthenticated)?;
        let (team, role) = (claim(&names.team), claim(&names.role));
        if team.is_none() && role.is_none() {
            let scopes = claim(&names.scope).unwrap_or_default().split_whitespace();
            let own = scopes.filter_map(|scope| scope.strip_prefix(&*names.scope_prefix));
            let own = own.filter_map(|name| Scope::ALL.into_iter().find(|it| it.name() == name));
            return Ok(Self { sub, kind: Kind::Machine { scopes: own.collect() } });
        }
        let team = team.and_then(|team| team.parse().ok());
        let team = team.ok_or(Error::Forbidden("The token names no valid team."))?;
        let is_admin = match role {
            Some("admin") => true,
            Some("member") => false,
            Some(_) | None => {
                return Err(Error::Forbidden("The token's role must be admin or member."));
            }
        };
        Ok(Self { sub, kind: Kind::Person { team, is_admin } })
    }

    /// Checks that the caller may read the team: a person of the team, or a machine client with any scope.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_read(&self, team: &TeamId) -> Result<(), Error> {
        self.check_person_or_scope(team, &Scope::ALL)
    }

    /// Checks that the caller may charge the team and take holds.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_charge(&self, team: &TeamId) -> Result<(), Error> {
        self.check_person_or_scope(team, &[Scope::Charge])
    }

    /// Checks that the caller may restart the team's enrichment.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_restart(&self, team: &TeamId) -> Result<(), Error> {
        self.check_person_or_scope(team, &[Scope::Charge, Scope::Manage])
    }

    /// Checks that the caller is an admin of the team.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_admin(&self, team: &TeamId) -> Result<(), Error> {
        self.check_person(team)?;
        match &self.kind {
            Kind::Person { is_admin: true, .. } => Ok(()),
            Kind::Person { .. } | Kind::Machine { .. } => {
                Err(Error::Forbidden("Only an admin of the team can do this; ask an admin."))
            }
        }
    }

    /// Checks that the caller is a person of the team.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_person(&self, team: &TeamId) -> Result<(), Error> {
        if self.team()? == team {
            Ok(())
        } else {
            Err(Error::Forbidden("The token is for another team."))
        }
    }

    /// Checks that the caller may manage subscriptions, gifts and accounts.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_manage(&self) -> Result<(), Error> {
        self.check_scope(&[Scope::Manage])
    }

    /// Checks that the caller may add and remove the team's monitored accounts.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_monitor(&self, team: &TeamId) -> Result<(), Error> {
        match &self.kind {
            Kind::Person { .. } => self.check_admin(team),
            Kind::Machine { .. } => self.check_manage(),
        }
    }

    /// A person's team.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a machine client.
    pub fn team(&self) -> Result<&TeamId, Error> {
        match &self.kind {
            Kind::Person { team, .. } => Ok(team),
            Kind::Machine { .. } => {
                Err(Error::Forbidden("This is for people; a machine client has no team."))
            }
        }
    }

    /// The user of a charge: the caller, unless a machine client names another user.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a person who names another user.
    pub fn on_behalf_of(&self, named: Option<UserId>) -> Result<UserId, Error> {
        match (&self.kind, named) {
            (_, None) => Ok(self.sub.clone()),
            (Kind::Person { .. }, Some(named)) if named != self.sub => {
                Err(Error::Forbidden("Only a machine client may name another user."))
            }
            (_, Some(named)) => Ok(named),
        }
    }

    /// An idempotency key in the caller's key space.
    #[must_use]
    pub fn own(&self, key: Key) -> CallerKey {
        match &self.kind {
            Kind::Person { .. } => CallerKey::of_person(key, self.sub.clone()),
            Kind::Machine { .. } => CallerKey::of_machine(key),
        }
    }

    /// Whether the caller is a machine client.
    #[must_use]
    pub const fn is_machine(&self) -> bool {
        matches!(self.kind, Kind::Machine { .. })
    }

    /// Checks that the caller may capture from a hold and release it. `taking` is the entry of the hold.
    /// Machine clients may use every hold. A hold of a person is also open to that person and to admins.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn check_hold_use(&self, taking: &Entry) -> Result<(), Error> {
        match (&self.kind, &taking.person) {
            (Kind::Machine { .. }, _) | (Kind::Person { is_admin: true, .. }, Some(_)) => Ok(()),
            (Kind::Person { .. }, Some(person)) if *person == self.sub => Ok(()),
            (Kind::Person { .. }, Some(_)) => Err(Error::Forbidden(
                "Another person took this hold; only that person, an admin or a machine client can use it.",
            )),
            (Kind::Person { .. }, None) => Err(Error::Forbidden(
                "A machine client took this hold; only machine clients can use it.",
            )),
        }
    }

    fn check_person_or_scope(&self, team: &TeamId, scopes: &[Scope]) -> Result<(), Error> {
        match &self.kind {
            Kind::Person { .. } => self.check_person(team),
            Kind::Machine { .. } => self.check_scope(scopes),
        }
    }

    fn check_scope(&self, scopes: &[Scope]) -> Result<(), Error> {
        match &self.kind {
            Kind::Machine { scopes: own } if own.iter().any(|own| scopes.contains(own)) => Ok(()),
            Kind::Machine { .. } | Kind::Person { .. } => Err(Error::Forbidden(match scopes {
                [Scope::Manage] => "This needs the scope credits:manage.",
                [Scope::Charge] => "This needs the scope credits:charge.",
                [Scope::Charge, Scope::Manage] => {
                    "This needs the scope credits:charge or credits:manage."
                }
                _ => "This needs the scope credits:charge, credits:manage or credits:read.",
            })),
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    App: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let context = parts.extensions.get::<RequestContext>();
        let authorizer = context.and_then(RequestContext::authorizer);
        let jwt = authorizer.and_then(|authorizer| authorizer.jwt.as_ref());
        let claims = &jwt.ok_or(Error::Unauthenticated)?.claims;
        Self::from_claims(claims, &App::from_ref(state).claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller_with(claims: &[(&str, &str)], names: &ClaimNames) -> Result<Caller, Error> {
        let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Caller::from_claims(&claims.collect(), names)
    }

    fn caller(claims: &[(&str, &str)]) -> Result<Caller, Error> {
        caller_with(claims, &ClaimNames::default())
    }

    fn machine(scope: &str) -> Caller {
        caller(&[("sub", "m"), ("scope", scope)]).unwrap()
    }

    fn team(name: &str) -> TeamId {
        name.parse().unwrap()
    }

    #[test]
    fn a_person_has_permissions_for_one_team() {
        let member = caller(&[("sub", "u"), ("team", "t"), ("role", "member")]).unwrap();
        assert!(member.check_charge(&team("t")).is_ok());
        assert!(member.check_charge(&team("other")).is_err());
        assert!(member.check_read(&team("other")).is_err());
        assert!(member.check_admin(&team("t")).is_err());
        assert!(member.check_manage().is_err());
        let admin = caller(&[("sub", "u"), ("team", "t"), ("role", "admin")]).unwrap();
        assert!(admin.check_admin(&team("t")).is_ok());
        assert!(admin.check_admin(&team("other")).is_err());
    }

    #[test]
    fn ignores_the_scopes_of_a_person() {
        let scope = ("scope", "credits:manage credits:charge credits:read");
        let person = caller(&[("sub", "u"), ("team", "t"), ("role", "member"), scope]).unwrap();
        assert!(person.check_manage().is_err());
        assert!(person.check_charge(&team("other")).is_err());
    }

    #[test]
    fn rejects_a_person_without_a_valid_team_and_role() {
        let scope = ("scope", "credits:manage credits:charge credits:read");
        let invalid: [&[(&str, &str)]; 7] = [
            &[("team", "t")],
            &[("role", "admin")],
            &[("team", ""), ("role", "admin")],
            &[("team", "a team"), ("role", "admin")],
            &[("team", "t"), ("role", "owner")],
            &[("team", "t"), ("role", "")],
            &[("team", ""), ("role", "")],
        ];
        for claims in invalid {
            let claims = [claims, &[("sub", "u"), scope]].concat();
            assert!(matches!(caller(&claims), Err(Error::Forbidden(_))), "{claims:?}");
        }
    }

    #[test]
    fn a_machine_client_has_the_permissions_of_its_scopes_only() {
        let t = team("any");
        let may = |caller: &Caller| {
            [
                caller.check_read(&t),
                caller.check_charge(&t),
                caller.check_restart(&t),
                caller.check_manage(),
                caller.check_monitor(&t),
                caller.check_admin(&t),
            ]
            .map(|allowed| allowed.is_ok())
        };
        assert_eq!(may(&machine("openid credits:charge")), [true, true, true, false, false, false]);
        assert_eq!(may(&machine("credits:manage")), [true, false, true, true, true, false]);
        assert_eq!(may(&machine("credits:read")), [true, false, false, false, false, false]);
        assert_eq!(may(&machine("credits:reads credits.charge")), [false; 6]);
        assert_eq!(may(&caller(&[("sub", "m")]).unwrap()), [false; 6]);
    }

    #[test]
    fn reads_claims_by_the_configured_names() {
        let names = ClaimNames {
            team: "custom:team".to_owned(),
            role: "custom:role".to_owned(),
            scope: "scp".to_owned(),
            scope_prefix: "api.example/".to_owned(),
        };
        let scopes = ("scp", "api.example/credits:charge credits:manage");
        let machine = caller_with(&[("sub", "m"), ("team", "t"), scopes], &names).unwrap();
        assert!(machine.check_charge(&team("t")).is_ok());
        assert!(machine.check_manage().is_err(), "a scope without the prefix");
        let person = [("sub", "u"), ("custom:team", "t"), ("custom:role", "admin"), scopes];
        assert!(caller_with(&person, &names).unwrap().check_admin(&team("t")).is_ok());
    }

    #[test]
    fn rejects_another_user_named_by_a_person() {
        let other = || Some("other".parse::<UserId>().unwrap());
        let person = caller(&[("sub", "u"), ("team", "t"), ("role", "admin")]).unwrap();
        assert!(person.on_behalf_of(other()).is_err());
        assert_eq!(person.on_behalf_of(None).unwrap().as_str(), "u");
        assert_eq!(machine("credits:charge").on_behalf_of(other()).unwrap().as_str(), "other");
    }

    #[test]
    fn rejects_a_subject_that_is_not_1_to_255_ascii_characters() {
        let scope = ("scope", "credits:charge");
        assert!(caller(&[("sub", &"s".repeat(255)), scope]).is_ok());
        for sub in ["", "\u{e9}", "a\nb", &"s".repeat(256)] {
            assert!(matches!(caller(&[("sub", sub), scope]), Err(Error::Unauthenticated)), "{sub}");
        }
        assert!(matches!(caller(&[scope]), Err(Error::Unauthenticated)));
    }
}
