"""Cards of the metrics: what is declared of them, and what a simulation measures."""

from unmirage.cards.card import Card, Response, card, cards

__all__ = ["Card", "Response", "card", "cards"]
