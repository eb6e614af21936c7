"""The orchestrator of IPAI Data Connectors; `ipai.service.Platform` is what its faces call."""
