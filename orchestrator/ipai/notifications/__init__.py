"""Telling programs and people what happened: events to webhooks and, through Apprise, to Slack, mail, Telegram …"""
