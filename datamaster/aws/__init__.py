"""The AWS account: deployment, access, sizing, dashboards, and the pages generated from templates."""
