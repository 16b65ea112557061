//! Settings of the original product whose part has not come yet. They are known, so that an existing `.env`
//! loads without a word; they are listed as not used, so that nobody relies on them.

/// Names that are accepted and mean nothing yet, and what they are about.
pub const LATER: &[(&str, &str)] = &[
    ("CACHE_DB_PATH", "response cache"),
    ("CACHE_MAX_SIZE", "response cache"),
    ("CACHE_PERSIST", "response cache"),
    ("CACHE_TTL_SECONDS", "response cache"),
    ("COST_CURRENCY", "cost display"),
    ("COST_FX_RATE", "cost display"),
    ("HERMES_INSTANCES_FILE", "instances"),
    ("HERMES_INSTANCE_CONTAINER_PORT", "instances"),
    ("HERMES_INSTANCE_DOCKER_PREFIX", "instances"),
    ("HERMES_INSTANCE_IMAGE", "instances"),
    ("HERMES_ROUTER_SERVICE", "service unit"),
    ("HR_ENV_FILE", "file locations"),
    ("MODEL_PRICES_FILE", "prices"),
    ("PROXY_LIMIT_COST_DAY", "limits of access keys"),
    ("PROXY_LIMIT_REQ_DAY", "limits of access keys"),
    ("PROXY_LIMIT_RPM", "limits of access keys"),
    ("PROXY_LIMIT_TOKENS_DAY", "limits of access keys"),
    ("PYTHON", "the original's interpreter"),
    ("REQUEST_LOG_SIZE", "request log"),
    ("ROUTER_BASE_MODEL", "never had a meaning"),
    ("ROUTER_BASE_MODEL_PROVIDER", "never had a meaning"),
    ("SEMANTIC_CACHE", "response cache"),
    ("SEMANTIC_CACHE_THRESHOLD", "response cache"),
    ("WORKER_THREADS", "the original's server"),
];
