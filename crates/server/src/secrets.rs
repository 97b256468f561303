//! Clients' secrets, as they are looked up: by digest, by name, and counted by invitation.

use std::collections::HashMap;

use dure_core::{digest::Digest, name::ClientName};

use crate::store::Secret;

/// Every client's secret. A client has one at most, and no two have the same.
#[derive(Default)]
pub struct Secrets {
    by_digest: HashMap<Digest, Secret>,
    by_name: HashMap<String, HashMap<ClientName, Digest>>,
    /// How many came by each invitation.
    used: HashMap<i64, u32>,
}

impl Secrets {
    /// Whose secret has this digest.
    pub fn get(&self, sha256: &Digest) -> Option<&Secret> {
        self.by_digest.get(sha256)
    }

    /// The secret of a name.
    pub fn of(&self, federation: &str, client: &ClientName) -> Option<&Secret> {
        self.get(self.by_name.get(federation)?.get(client)?)
    }

    /// How many clients have joined by an invitation.
    pub fn used(&self, invitation: i64) -> u32 {
        self.used.get(&invitation).copied().unwrap_or(0)
    }

    /// Takes in a client's secret in place of the one that it had.
    pub fn insert(&mut self, secret: Secret) {
        self.remove(&secret.federation, &secret.client);
        if let Some(invitation) = secret.invitation {
            *self.used.entry(invitation).or_default() += 1;
        }
        let names = self.by_name.entry(secret.federation.clone()).or_default();
        names.insert(secret.client.clone(), secret.sha256);
        self.by_digest.insert(secret.sha256, secret);
    }

    /// Forgets a client's secret; harmless if there is none.
    pub fn remove(&mut self, federation: &str, client: &ClientName) {
        let sha256 = self.by_name.get_mut(federation).and_then(|names| names.remove(client));
        let secret = sha256.and_then(|sha256| self.by_digest.remove(&sha256));
        let used = secret.and_then(|secret| secret.invitation).and_then(|id| self.used.get_mut(&id));
        if let Some(used) = used {
            *used -= 1;
        }
    }
}

impl FromIterator<Secret> for Secrets {
    fn from_iter<I: IntoIterator<Item = Secret>>(secrets: I) -> Self {
        let mut all = Self::default();
        secrets.into_iter().for_each(|secret| all.insert(secret));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(client: &str, byte: u8, invitation: Option<i64>) -> Secret {
        let client = ClientName::new(client).unwrap();
        Secret { federation: "f".into(), client, sha256: Digest([byte; 32]), invitation, site: String::new() }
    }

    #[test]
    fn a_new_secret_takes_the_place_of_the_old_one_and_of_its_use() {
        let mut all: Secrets = [secret("a", 1, Some(7)), secret("b", 2, Some(7))].into_iter().collect();
        assert_eq!(all.used(7), 2);
        all.insert(secret("a", 3, Some(8)));
        assert_eq!((all.used(7), all.used(8)), (1, 1));
        assert_eq!(all.get(&Digest([1; 32])), None);
        assert_eq!(all.of("f", &ClientName::new("a").unwrap()), Some(&secret("a", 3, Some(8))));
    }

    #[test]
    fn a_forgotten_secret_is_nowhere() {
        let mut all: Secrets = [secret("a", 1, Some(7)), secret("b", 2, None)].into_iter().collect();
        for name in ["a", "b", "nobody"] {
            let name = ClientName::new(name).unwrap();
            all.remove("g", &name);
            all.remove("f", &name);
            assert_eq!(all.of("f", &name), None);
        }
        assert_eq!((all.used(7), all.get(&Digest([1; 32])), all.get(&Digest([2; 32]))), (0, None, None));
    }
}
