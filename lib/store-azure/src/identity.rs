//! An identity of Entra ID: a service principal, a workload's, a developer's or the machine's, whichever is there first.

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, Transport};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, DeveloperToolsCredential,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use vb_core::environment::{self as variables, Environment};

/// A machine outside Azure has nobody who answers; the SDK alone would ask for minutes.
const MACHINE_LIMIT: Duration = Duration::from_secs(10);

/// What names a service principal or a user-assigned identity.
#[derive(Clone, Default)]
pub(crate) struct Principal {
    tenant: Option<String>,
    client: Option<String>,
    secret: Option<Secret>,
}

impl Principal {
    pub(crate) fn new(environment: &Environment) -> Self {
        let text = |variable| environment.get(variable).map(str::to_owned);
        Self {
            tenant: text(variables::AZURE_TENANT_ID),
            client: text(variables::AZURE_CLIENT_ID),
            secret: text(variables::AZURE_CLIENT_SECRET).map(Secret::new),
        }
    }
}

/// Asks one after another, and from then on the one that had a token.
#[derive(Debug)]
pub(crate) struct Chain {
    links: Vec<(&'static str, Arc<dyn TokenCredential>)>,
    found: OnceLock<usize>,
}

impl Chain {
    /// Those that can be asked at all; nobody is asked yet. Where Kubernetes gives a workload an identity, it sets the
    /// variables for it, which the SDK reads itself.
    pub(crate) fn new(principal: &Principal, transport: &Transport) -> azure_core::Result<Arc<Self>> {
        let options = || ClientOptions { transport: Some(transport.clone()), ..ClientOptions::default() };
        let mut links: Vec<(&'static str, Arc<dyn TokenCredential>)> = Vec::new();
        if let (Some(tenant), Some(client), Some(secret)) = (&principal.tenant, &principal.client, &principal.secret) {
            let options = ClientSecretCredentialOptions { client_options: options() };
            let credential = ClientSecretCredential::new(tenant, client.clone(), secret.clone(), Some(options))?;
            links.push(("the service principal", credential));
        }
        let workload = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: options() },
            client_id: principal.client.clone(),
            tenant_id: principal.tenant.clone(),
            ..Default::default()
        };
        if let Ok(credential) = WorkloadIdentityCredential::new(Some(workload)) {
            links.push(("the workload's identity", credential));
        }
        links.push(("the developer's login", DeveloperToolsCredential::new(None)?));
        let machine = ManagedIdentityCredentialOptions {
            user_assigned_id: principal.client.clone().map(UserAssignedId::ClientId),
            client_options: options(),
        };
        if let Ok(credential) = ManagedIdentityCredential::new(Some(machine)) {
            links.push(("the machine's identity", credential));
        }
        Ok(Arc::new(Self { links, found: OnceLock::new() }))
    }
}

#[async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        if let Some((_, link)) = self.found.get().and_then(|found| self.links.get(*found)) {
            return link.get_token(scopes, options).await;
        }
        let mut tried = Vec::new();
        for (index, (name, link)) in self.links.iter().enumerate() {
            match tokio::time::timeout(MACHINE_LIMIT, link.get_token(scopes, options.clone())).await {
                Ok(Ok(token)) => {
                    let _ = self.found.set(index); // another thread found one first
                    return Ok(token);
                }
                Ok(Err(_)) | Err(_) => tried.push(*name),
            }
        }
        Err(azure_core::Error::with_message(ErrorKind::Credential, format!("no token from {}", tried.join(", "))))
    }
}
