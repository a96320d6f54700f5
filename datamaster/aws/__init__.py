"""What belongs to an AWS account: deployment, access, sizing, dashboards, and the pages made from templates."""
