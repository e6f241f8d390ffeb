//! Who is calling. The API's authorizer verifies the token; a function sees the verified claims in
//! the request context and trusts nothing else.

use std::collections::HashMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;

use crate::domain::Error;
use crate::domain::ids::{TeamId, UserId};

/// The scope of machine clients that charge, hold, estimate and read any team.
const CHARGE: &str = "credits:charge";

/// The scope of machine clients that manage subscriptions, gifts and accounts.
const MANAGE: &str = "credits:manage";

/// A verified caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user's or the machine client's id.
    pub sub: UserId,
    who: Who,
}

#[derive(Clone, Debug)]
enum Who {
    Person { team: TeamId, is_admin: bool },
    Machine { scopes: Vec<String> },
}

impl Caller {
    /// Reads verified claims. Whoever has a role is a person, whoever has none a machine client.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without a usable `sub`; [`Error::Forbidden`] for a person with
    /// an unknown role or without a team.
    pub fn from_claims(claims: &HashMap<String, String>) -> Result<Self, Error> {
        let claim = |name: &str| claims.get(name).map(String::as_str);
        let sub = claim("sub").and_then(|sub| sub.parse().ok()).ok_or(Error::Unauthenticated)?;
        let is_admin = match claim("role") {
            Some("admin") => true,
            Some("member") => false,
            Some(_) => return Err(Error::Forbidden("The token's role must be admin or member.")),
            None => {
                let scopes = claim("scope").unwrap_or_default().split_whitespace();
                let scopes = scopes.map(str::to_owned).collect();
                return Ok(Self { sub, who: Who::Machine { scopes } });
            }
        };
        let team = claim("team").and_then(|team| team.parse().ok());
        let team = team.ok_or(Error::Forbidden("The token names no team."))?;
        Ok(Self { sub, who: Who::Person { team, is_admin } })
    }

    /// Whether the caller may charge the team and read what it has.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_use(&self, team: &TeamId) -> Result<(), Error> {
        match &self.who {
            Who::Person { .. } => self.is_of(team),
            Who::Machine { .. } => self.has_scope(CHARGE, "This needs the scope credits:charge."),
        }
    }

    /// Whether the caller may see what the team has chosen: whoever may use it, and who manages it.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_see(&self, team: &TeamId) -> Result<(), Error> {
        self.may_use(team).or_else(|refused| self.may_manage().map_err(|_| refused))
    }

    /// Whether the caller is a person of the team.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn is_of(&self, team: &TeamId) -> Result<(), Error> {
        match &self.who {
            Who::Person { team: own, .. } if own == team => Ok(()),
            Who::Person { .. } => Err(Error::Forbidden("The token is for another team.")),
            Who::Machine { .. } => Err(Error::Forbidden("This is for the people of the team.")),
        }
    }

    /// Whether the caller may buy for the team.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_buy(&self, team: &TeamId) -> Result<(), Error> {
        self.is_of(team)?;
        match &self.who {
            Who::Person { is_admin: true, .. } => Ok(()),
            Who::Person { .. } | Who::Machine { .. } => {
                Err(Error::Forbidden("Only an admin of the team can do this; ask an admin."))
            }
        }
    }

    /// Whether the caller may manage subscriptions, gifts and accounts.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_manage(&self) -> Result<(), Error> {
        self.has_scope(MANAGE, "This needs the scope credits:manage.")
    }

    /// Whether the caller may change what the team has monitored.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_monitor(&self, team: &TeamId) -> Result<(), Error> {
        match &self.who {
            Who::Person { .. } => self.may_buy(team),
            Who::Machine { .. } => self.may_manage(),
        }
    }

    /// The caller's own team.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a machine client.
    pub fn team(&self) -> Result<&TeamId, Error> {
        match &self.who {
            Who::Person { team, .. } => Ok(team),
            Who::Machine { .. } => {
                Err(Error::Forbidden("This is for people; a machine client has no team."))
            }
        }
    }

    /// On whose behalf something is done: the caller's own, unless a machine client names another.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a person who names somebody else.
    pub fn on_behalf_of(&self, named: Option<UserId>) -> Result<UserId, Error> {
        match (&self.who, named) {
            (_, None) => Ok(self.sub.clone()),
            (Who::Person { .. }, Some(named)) if named != self.sub => {
                Err(Error::Forbidden("Only a machine client may name another user."))
            }
            (_, Some(named)) => Ok(named),
        }
    }

    fn has_scope(&self, scope: &str, refusal: &'static str) -> Result<(), Error> {
        match &self.who {
            Who::Machine { scopes } if scopes.iter().any(|own| own == scope) => Ok(()),
            Who::Machine { .. } | Who::Person { .. } => Err(Error::Forbidden(refusal)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let context = parts.extensions.get::<RequestContext>();
        let authorizer = context.and_then(RequestContext::authorizer);
        let jwt = authorizer.and_then(|authorizer| authorizer.jwt.as_ref());
        Self::from_claims(&jwt.ok_or(Error::Unauthenticated)?.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(claims: &[(&str, &str)]) -> Result<Caller, Error> {
        let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Caller::from_claims(&claims.collect())
    }

    fn team(name: &str) -> TeamId {
        name.parse().unwrap()
    }

    #[test]
    fn a_person_acts_for_one_team() {
        let member = caller(&[("sub", "u"), ("team", "t"), ("role", "member")]).unwrap();
        assert!(member.may_use(&team("t")).is_ok());
        assert!(member.may_use(&team("other")).is_err());
        assert!(member.may_buy(&team("t")).is_err());
        assert!(member.may_manage().is_err());
        let admin = caller(&[("sub", "u"), ("team", "t"), ("role", "admin")]).unwrap();
        assert!(admin.may_buy(&team("t")).is_ok());
        assert!(admin.may_buy(&team("other")).is_err());
    }

    #[test]
    fn a_scope_gives_a_person_nothing() {
        let claims = [
            ("sub", "u"),
            ("team", "t"),
            ("role", "member"),
            ("scope", "credits:manage credits:charge"),
        ];
        let person = caller(&claims).unwrap();
        assert!(person.may_manage().is_err());
        assert!(person.may_use(&team("other")).is_err());
    }

    #[test]
    fn a_machine_client_has_its_scopes_only() {
        let pipeline = caller(&[("sub", "m"), ("scope", "openid credits:charge")]).unwrap();
        assert!(pipeline.may_use(&team("any")).is_ok());
        assert!(pipeline.may_manage().is_err());
        assert!(pipeline.may_buy(&team("any")).is_err());
        assert!(pipeline.team().is_err());
        let none = caller(&[("sub", "m")]).unwrap();
        assert!(none.may_use(&team("any")).is_err());
    }

    #[test]
    fn only_a_machine_client_names_another_user() {
        let other = || Some("other".parse::<UserId>().unwrap());
        let person = caller(&[("sub", "u"), ("team", "t"), ("role", "admin")]).unwrap();
        assert!(person.on_behalf_of(other()).is_err());
        assert_eq!(person.on_behalf_of(None).unwrap().as_str(), "u");
        let machine = caller(&[("sub", "m"), ("scope", "credits:charge")]).unwrap();
        assert_eq!(machine.on_behalf_of(other()).unwrap().as_str(), "other");
    }

    #[test]
    fn claims_that_identify_nobody() {
        assert!(matches!(caller(&[]), Err(Error::Unauthenticated)));
        assert!(matches!(
            caller(&[("sub", ""), ("scope", "credits:charge")]),
            Err(Error::Unauthenticated)
        ));
        assert!(matches!(
            caller(&[("sub", "u"), ("role", "owner"), ("team", "t")]),
            Err(Error::Forbidden(_))
        ));
        assert!(matches!(caller(&[("sub", "u"), ("role", "admin")]), Err(Error::Forbidden(_))));
    }
}
