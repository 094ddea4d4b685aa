"""What other servers' data says, as registrations."""
