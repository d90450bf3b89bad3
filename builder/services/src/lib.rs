//! One model of what runs on the appliance, rendered as systemd units and configuration.
