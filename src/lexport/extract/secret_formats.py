"""The formats of secrets that providers document, as patterns. Declarations only: secret_rules.py applies them.

The rule lists of gitleaks, detect-secrets and TruffleHog have these formats too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

SecondLook = Literal["has_digit", "is_user_and_password", "is_not_harmless"]
"""A test of a match that a pattern cannot express."""


@dataclass(frozen=True, slots=True)
class ValueRule:
    """One format. The pattern's group, if it has one, is the secret itself. ``source`` names the documentation.

    Every value of the format contains one of ``hints``, which are cheap to search for, and matches ``lead``, with which
    Arrow searches many values at once; ``lead`` is narrower than hints that are common words.
    """

    name: str
    hints: tuple[str, ...]
    lead: str
    pattern: re.Pattern[str]
    source: str
    second_look: SecondLook | None = None


def _rule(
    name: str, hints: str, pattern: str, source: str, *, lead: str = "", second_look: SecondLook | None = None
) -> ValueRule:
    words = tuple(hints.split())
    pattern_of_lead = lead or "|".join(map(re.escape, words))
    return ValueRule(name, words, pattern_of_lead, re.compile(pattern, re.ASCII), source, second_look)


def _token(name: str, hints: str, pattern: str, source: str, *, lead: str = "") -> ValueRule:
    """Make the rule of a token: no letter, digit or underscore before it, and a digit in it, unlike most names."""
    return _rule(name, hints, rf"(?<!\w)(?:{pattern})", source, lead=lead, second_look="has_digit")


_URL_SAFE = r"[A-Za-z0-9_-]"
_PLAIN = "(?![$<{*])"
VALUE_RULES = (
    _rule(
        "private_key",
        "PRIVATE LS0tLS1CRUdJTiB AGE-SECRET-KEY- PuTTY-User-Key-File",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|AGE-SECRET-KEY-1[A-Z0-9]{40,}|PuTTY-User-Key-File-\d:"
        r"|LS0tLS1CRUdJTiB(?:QUklWQVRFIEtFWS|SU0EgUFJJVkFURSBL|FQyBQUklWQVRFIEtF|PUEVOU1NIIFBSSVZBVEUg|FTkNSWVBURUQgUFJJVk)",
        "RFC 7468, RFC 4880, age, PuTTY; the same in base64",
    ),
    _token(
        "aws_access_key",
        "AKIA ASIA ABIA ACCA",
        r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        "IAM user guide, unique identifiers",
    ),
    _token(
        "aws_session_token",
        "IQoJb3JpZ2lu FwoGZXIvYXdz FQoGZXIvYXdz",
        r"(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz)[A-Za-z0-9+/=]{100,}",
        "STS, GetSessionToken",
    ),
    _token(
        "bedrock_key",
        "ABSK bedrock-api-key-",
        r"ABSK[A-Za-z0-9+/=]{80,}|bedrock-api-key-[A-Za-z0-9+/=]{40,}",
        "Bedrock",
    ),
    _rule("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,}", "GitHub docs, token formats"),
    _rule("github_token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,}", "GitHub docs, token formats"),
    _token(
        "gitlab_token",
        "glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct- GR1348941",
        r"(?:gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-|GR1348941)[A-Za-z0-9_.-]{20,}",
        "GitLab docs, token prefixes",
    ),
    _token("bitbucket_token", "ATBB ATCTT3", r"ATBB[A-Za-z0-9]{24,}|ATCTT3[\w=-]{40,}", "Bitbucket docs"),
    _token("atlassian_token", "ATATT3", r"ATATT3[\w=-]{40,}", "Atlassian docs, API tokens"),
    _token(
        "slack_token",
        "xox xapp-",
        r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}",
        "Slack docs, token types",
        lead=r"\bx(?:ox[a-z]|app)-",
    ),
    _rule(
        "slack_webhook",
        "hooks.slack.com",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(T\w+/\w+/\w{16,}[\w/]*)",
        "Slack docs, webhooks",
    ),
    _rule(
        "webhook_url",
        "/api/webhooks/ webhook.office.com/",
        r"discord(?:app)?\.com/api/webhooks/\d+/([\w-]{20,})|webhook\.office\.com/webhookb2/([\w@/-]{40,})",
        "Discord and Microsoft Teams docs, webhooks",
    ),
    _token(
        "stripe_key",
        "k_live_ k_test_ k_prod_ whsec_",
        r"(?:[sr]k_(?:live|test|prod)|whsec)_[\w+/=]{16,}",
        "Stripe docs, API keys",
    ),
    _token(
        "google_key",
        "AIza GOCSPX- ya29. 1//0",
        rf"AIza[\w-]{{35}}(?![\w-])|GOCSPX-[\w-]{{20,}}|ya29\.[\w-]{{20,}}|1//0{_URL_SAFE}{{40,}}",
        "Google Cloud docs, API keys and OAuth",
    ),
    _token("npm_token", "npm_", r"npm_[A-Za-z0-9]{36}\b", "npm docs, access tokens", lead=r"\bnpm_\w"),
    _token("pypi_token", "pypi-", r"pypi-[\w-]{40,}", "PyPI help, API tokens"),
    _token(
        "registry_token",
        "dckr_pat_ dckr_oat_ rubygems_ oy2 AKCp cmVmdGtu CLOJARS_",
        r"dckr_[po]at_[\w-]{20,}|rubygems_[0-9a-f]{48}|oy2[a-z0-9]{43}\b|AKCp[A-Za-z0-9]{60,}|cmVmdGtu[A-Za-z0-9]{40,}"
        r"|CLOJARS_[a-z0-9]{60}",
        "Docker Hub, RubyGems, NuGet, JFrog and Clojars docs",
    ),
    _token("sendgrid_key", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{32,64}", "SendGrid docs, API keys"),
    _token("twilio_key", "SK", r"SK[0-9a-f]{32}\b", "Twilio docs, API keys", lead=r"\bSK[0-9a-f]{4}"),
    _token("mailgun_key", "key-", r"key-[0-9a-f]{32}\b", "Mailgun docs, API keys", lead=r"\bkey-[0-9a-f]{4}"),
    _token("mailchimp_key", "-us", r"[0-9a-f]{32}-us\d{1,2}\b", "Mailchimp docs, API keys", lead=r"[0-9a-f]{2}-us\d"),
    _token("brevo_key", "xkeysib- xsmtpsib-", r"x(?:key|smtp)sib-[0-9a-f]{64}-[A-Za-z0-9]{8}", "Brevo docs, API keys"),
    _token(
        "model_provider_key",
        "sk- gsk_ pplx- pcsk_ xai- tvly- lsv2_ sk_",
        r"sk-[A-Za-z0-9_-]{32,}|gsk_[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|pcsk_\w{40,}|xai-[A-Za-z0-9]{40,}"
        r"|tvly-[A-Za-z0-9-]{30,}|lsv2_[ps][tk]_[0-9a-f]{32}\w*|sk_[0-9a-f]{48}\b",
        "OpenAI, Anthropic, OpenRouter, Groq, Perplexity, Pinecone, xAI, Tavily, LangSmith and ElevenLabs docs",
        lead=r"\b(?:g?sk_|sk-|pplx-|pcsk_|xai-|tvly-|lsv2_)\w{3}",
    ),
    _token("replicate_token", "r8_", r"r8_[A-Za-z0-9]{37}\b", "Replicate docs, API tokens", lead=r"\br8_\w"),
    _token(
        "huggingface_token",
        "hf_ api_org_",
        r"(?:hf|api_org)_[A-Za-z0-9]{30,}",
        "Hugging Face docs, tokens",
        lead=r"\b(?:hf|api_org)_\w",
    ),
    _token(
        "databricks_token",
        "dapi dose",
        r"(?:dapi|dose)[0-9a-f]{32}\b",
        "Databricks docs, access tokens and secrets",
        lead=r"\b(?:dapi|dose)[0-9a-f]{4}",
    ),
    _token("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{64}\b", "DigitalOcean docs, tokens"),
    _token(
        "shopify_token",
        "shp",
        r"shp(?:at|ca|pa|ss|ua)_[0-9a-fA-F]{32}\b",
        "Shopify docs, access tokens",
        lead=r"\bshp[a-z]{2}_",
    ),
    _token("vault_token", "hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{24,}", "HashiCorp Vault docs, tokens"),
    _token("terraform_token", ".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{20,}", "HCP Terraform docs, API tokens"),
    _token("pulumi_token", "pul-", r"pul-[0-9a-f]{40}\b", "Pulumi docs, access tokens"),
    _token(
        "doppler_token",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{1,40}\.)?[A-Za-z0-9]{40,}",
        "Doppler docs, token formats",
    ),
    _token("sentry_token", "sntrys_ sntryu_ sntryi_", r"sntry[sui]_[A-Za-z0-9+/=_-]{40,}", "Sentry docs, auth tokens"),
    _token(
        "newrelic_key",
        "NRAK- NRII- NRIQ- NRRA- NRAL",
        r"NR(?:AK|II|IQ|RA)-[A-Za-z0-9-]{24,}|[0-9a-f]{36}NRAL\b",
        "New Relic docs, API keys",
    ),
    _token(
        "monitoring_token",
        "glc_ glsa_ dt0 sqp_ sqa_ squ_ PMAK-",
        r"glc_[A-Za-z0-9+/=]{32,}|glsa_[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}|dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}"
        r"|sq[pau]_[0-9a-f]{40}\b|PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
        "Grafana, Dynatrace, SonarQube and Postman docs",
    ),
    _token(
        "linear_key", "lin_api_ lin_oauth_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}", "Linear docs, personal API keys"
    ),
    _token(
        "notion_token",
        "ntn_ secret_",
        r"ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}\b",
        "Notion docs, tokens",
        lead=r"\b(?:ntn|secret)_[A-Za-z0-9]{8}",
    ),
    _token(
        "airtable_token",
        "pat",
        r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b",
        "Airtable docs, personal access tokens",
        lead=r"pat\w{14}\.[0-9a-f]",
    ),
    _token(
        "hubspot_token",
        "pat-",
        r"pat-(?:na|eu|ap)\d-[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}",
        "HubSpot docs, private apps",
        lead=r"\bpat-[a-z]{2}\d-",
    ),
    _token(
        "hosting_token",
        "sbp_ sb_secret_ nfp_ HRKU- rnd_ fo1_ fm1 fm2_ v1.0- tskey- napi_",
        r"sbp_(?:[a-z0-9]+_)?[0-9a-f]{40}|sb_secret_[\w-]{20,}|nfp_[A-Za-z0-9]{36,}|HRKU-[\w-]{36,}|rnd_[A-Za-z0-9]{28,}"
        r"|fo1_[\w-]{43}|fm(?:1[ar]|2)_[A-Za-z0-9+/=]{100,}|v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"
        r"|tskey-[a-z]+-[A-Za-z0-9]+-[A-Za-z0-9]{16,}|napi_[a-z0-9]{40,}",
        "Supabase, Netlify, Heroku, Render, Fly.io, Cloudflare, Tailscale and Neon docs",
    ),
    _token("planetscale_token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w=.-]{32,}", "PlanetScale docs, service tokens"),
    _token(
        "ci_token",
        "bkua_ CCIPAT_ CCIPRJ_ dbtc_ dbtu_ pnu_ pnb_",
        r"bkua_[0-9a-f]{40}|CCIP(?:AT|RJ)_\w{20,}|dbt[cu]_[\w-]{32,}|pn[ub]_[A-Za-z0-9]{36}",
        "Buildkite, CircleCI, dbt Cloud and Prefect docs",
    ),
    _token(
        "payment_token",
        "access_token$ sq0atp- sq0csp- EAAA shippo_ EZAK EZTK duffel_ FLWSECK access-sandbox- access-production-",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}|sq0(?:atp|csp)-[\w-]{22,}|EAAA[\w-]{56,}"
        r"|shippo_(?:live|test)_[0-9a-f]{40}|EZ[AT]K[A-Za-z0-9]{54}|duffel_(?:live|test)_[\w=-]{43}"
        r"|FLWSECK(?:_TEST)?-[0-9a-zA-Z]{12,}|access-(?:sandbox|production)-[0-9a-f-]{36}",
        "PayPal, Square, Shippo, EasyPost, Duffel, Flutterwave and Plaid docs",
    ),
    _token(
        "application_token",
        "figd_ tfp_ rdme_ CFPAT- sgp_ fio-u- ops_eyJ A3- p8e- sdk- dG9rOm EAAC EAAM",
        r"figd_[\w-]{38,}|tfp_[\w.=-]{59}|rdme_[a-z0-9]{70}|CFPAT-[\w-]{43}|sgp_(?:\w+_)?[0-9a-f]{40}|fio-u-[\w=-]{64}"
        r"|ops_eyJ[A-Za-z0-9+/=]{200,}|A3-[A-Z0-9]{6}-[A-Z0-9]{6}(?:-?[A-Z0-9]{5}){4}|p8e-[A-Za-z0-9]{32}\b"
        r"|sdk-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|dG9rOm[A-Za-z0-9+/=]{40,}|EAA[CM][A-Za-z0-9]{100,}",
        "Figma, Typeform, ReadMe, Contentful, Sourcegraph, Frame.io, 1Password, Adobe, LaunchDarkly, Intercom, Meta",
    ),
    _token("telegram_token", ":AA", r"\d{8,10}:AA[\w-]{33}(?![\w-])", "Telegram docs, Bot API", lead=r"\d:AA"),
    _token("cloud_key_id", "LTAI AKID", r"LTAI[A-Za-z0-9]{16,24}\b|AKID[A-Za-z0-9]{32}\b", "Alibaba and Tencent docs"),
    _rule("jwt", "eyJ", r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}", "RFC 7519, RFC 7515"),
    _rule(
        "azure_key",
        "AccountKey= SharedAccessKey= SharedAccessSignature= Q~",
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature)=(?![$<{*])[^;\s]{16,}"
        r"|(?<![\w~.])[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])",
        "Azure docs, connection strings and client secrets",
    ),
    _rule(
        "signed_link",
        "sig= Signature=",
        r"[?&](?:sig|X-Amz-Signature|Signature)=([\w%+/=-]{20,})",
        "Azure SAS, S3",
        lead=r"[?&](?:sig|X-Amz-Signature|Signature)=",
    ),
    _rule("url_password", "://", rf"://[^\s/:@?#]*:{_PLAIN}(?!%s|%\()([^\s/@]+)@", "RFC 3986, userinfo"),
    _rule(
        "connection_password",
        "assword= ASSWORD= pwd= Pwd= PWD= passwd= PASSWD=",
        rf"(?i)(?:^|[;?&,\s])(?:[a-z_]{{0,20}}password|passwd|pwd)=\\?[\"']?{_PLAIN}([^;&,\s\"']{{4,}})",
        "ADO.NET, JDBC, libpq and SASL connection strings",
    ),
    _rule(
        "json_secret",
        '":',
        r'"(?i:[\w -]{0,40}(?:password|passwd|secret|token|api[_ -]?key|access[_ -]?key|private[_ -]?key))\\?":\s*'
        r'\\?"([^"\\]{4,})',
        "JSON of Secrets Manager, and of configurations",
        lead=r'(?i:ord|asswd|ecret|oken|key)\\?":',
        second_look="is_not_harmless",
    ),
    _rule(
        "query_secret",
        "key= Key= KEY= oken= OKEN= ecret= ECRET=",
        r"[?&;](?i:api[_-]?key|access[_-]?key|key|(?:access|auth|refresh)?[_-]?token|client[_-]?secret|secret)="
        rf"{_PLAIN}([^&;\s]{{12,}})",
        "RFC 6750, section 2.3",
        lead=r"[?&;][\w-]*(?:[Kk]ey|KEY|oken|OKEN|ecret|ECRET)=",
        second_look="has_digit",
    ),
    _rule(
        "authorization",
        "asic BASIC",
        r"(?<![\w-])(?:Basic|basic|BASIC) +([A-Za-z0-9+/]{6,}={0,2})(?![\w+/=-])",
        "RFC 7617",
        lead=r"(?:asic|BASIC) +\w",
        second_look="is_user_and_password",
    ),
    _rule(
        "authorization",
        "earer BEARER Token token ApiKey Apikey SSWS GenieKey Splunk",
        r"(?<![\w-])(?:Bearer|bearer|BEARER|Token|token|ApiKey|Apikey|SSWS|GenieKey|Splunk) +(?:token=)?"
        r"([A-Za-z0-9._~+/=-]{16,})(?![\w.-])",
        "RFC 6750; GitHub, Elastic, Okta, Opsgenie and Splunk docs",
        lead=r"(?:earer|EARER|oken|pi[Kk]ey|SSWS|ieKey|plunk) +[\w.~+/=-]",
        second_look="has_digit",
    ),
)

LEADS = "|".join(rule.lead for rule in VALUE_RULES)
"""Every value in one of these formats matches this pattern."""
