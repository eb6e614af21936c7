"""The demo: an Odoo-shaped source on this machine, synced, transformed, changed and synced again."""
