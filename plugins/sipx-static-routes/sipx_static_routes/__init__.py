"""Static routes to partner domains and to UC servers."""

from sipx_static_routes.config import RouteConfig, StaticRoutesConfig
from sipx_static_routes.plugin import StaticRoutes

__all__ = ["RouteConfig", "StaticRoutes", "StaticRoutesConfig"]
