"""The Device Token Service: FCM registration tokens by place (docs/spec/places.md)."""
