-- Logins: people whom somebody else vouches for, and what is theirs from the first time that they come.

alter table principal add column number bigint generated always as identity unique;  -- for dialects whose ids are numbers

create table login_subject (
    issuer       text not null,                       -- who vouches: an AWS account, an OIDC issuer
    subject      text not null,                       -- for whom; never anybody else's there
    principal_id uuid not null references principal,
    created_at   timestamptz not null,
    primary key (issuer, subject)
);
create index login_subject_by_principal on login_subject (principal_id);

alter table api_key add column login_at timestamptz;  -- when its holder last proved who they are; null: no login's key
create index api_key_of_logins on api_key (principal_id, valid_until) where login_at is not null;

alter table workspace add column personal_of uuid references principal;   -- whose own it is
create unique index one_personal_workspace on workspace (personal_of) where phase in ('creating', 'ready', 'deleting');
create index personal_workspaces on workspace (personal_of) where personal_of is not null;
