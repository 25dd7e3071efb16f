"""The tables that the migrations make: checksums, columns and indexes."""

# Databases hold these: a file that changes is refused by them.
CHECKSUMS = {
    "001_tables": "45978fe0ee7b",
    "002_hypertables.timescaledb": "eb5bf638f7b1",
    "003_columnstore.community": "3e08313ccc73",
    "004_engagement_1m.community": "2e490c567f44",
    "005_anomalies": "9c5ae89c6f55",
    "006_interventions": "5d9505459a2e",
    "007_sessions": "741dd7d2fe29",
    "008_webhook_deliveries": "565299a7c109",
}

# As the contract lists them.
COLUMNS = {
    "engagement_metrics": """
        time tenant_id session_id event_id engagement_score category chat_msgs_per_min
        poll_participation active_users total_users reactions_per_min user_leave_rate metadata
    """,
    "interventions": """
        id timestamp tenant_id session_id event_id type status confidence reasoning outcome
        metadata
    """,
    "agent_performance": """
        id time tenant_id agent_id intervention_type success engagement_delta confidence
        session_id metadata
    """,
    "anomalies": """
        id timestamp tenant_id session_id event_id anomaly_type severity anomaly_score
        current_engagement expected_engagement deviation signals metadata
    """,
}
INDEXES = {
    "engagement_metrics": {
        "engagement_metrics_pkey": "tenant_id, session_id, time",
        "idx_session_time": "session_id, time",
        "idx_engagement_score": "engagement_score",
    },
    "interventions": {
        "interventions_pkey": "id, timestamp",
        "idx_intervention_session": "session_id, timestamp",
        "idx_intervention_event": "event_id, timestamp",
        "idx_intervention_time": "timestamp",
    },
    "agent_performance": {
        "agent_performance_pkey": "id, time",
        "idx_agent_performance": "agent_id, time",
        "idx_performance_tenant": "tenant_id, time",
    },
    "anomalies": {
        "anomalies_pkey": "id, timestamp",
        "idx_anomaly_session": "session_id, timestamp",
        "idx_anomaly_time": "timestamp",
    },
}

# Tables that are no hypertables.
CATALOG_COLUMNS = {
    "sessions": """
        tenant_id session_id event_id started_at ended_at summarised_at ticks mean_score
        peak_score peak_at peak_users last_row_at
    """,
    "session_titles": """
        tenant_id session_id event_id title speakers planned_begin planned_end updated_at
    """,
    "event_titles": "tenant_id event_id title updated_at",
}
CATALOG_INDEXES = {
    "sessions": {
        "sessions_pkey": "tenant_id, session_id",
        "idx_sessions_started": "tenant_id, started_at DESC, session_id",
        "idx_sessions_live": "tenant_id, started_at DESC, session_id) WHERE (ended_at IS NULL",
        "idx_sessions_event": "tenant_id, event_id, started_at DESC, session_id",
        "idx_sessions_unsummarised": ("ended_at) WHERE (ended_at IS DISTINCT FROM summarised_at"),
    },
    "session_titles": {
        "session_titles_pkey": "tenant_id, session_id",
        "idx_session_titles_planned": (
            "tenant_id, COALESCE(planned_end, planned_begin, updated_at)"
        ),
    },
    "event_titles": {"event_titles_pkey": "tenant_id, event_id"},
}
