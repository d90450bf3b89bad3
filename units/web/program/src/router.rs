//! Which code answers which address. Each page group has one line in [`pages`].

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

use crate::app::App;
use crate::names::{self, Site};
use crate::problem::Problem;
use crate::{assets, guard, pages, proxy};

/// All of it.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let main = main(app);
    let names = around(app, names::routes().route("/healthz", get(async || "ok\n")));
    names::dispatch(app, main, names)
}

/// What the main name answers.
fn main(app: &Arc<App>) -> Router {
    let routes = pages()
        .route("/", get(home))
        .route("/.well-known/acme-challenge/{token}", get(names::challenge::answer))
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(names::autoconfig::answer))
        .merge(proxy::routes())
        .route("/profile.mobileconfig", get(names::mobileconfig::answer))
        .route("/assets/{digest}/{name}", get(assets::serve))
        .route("/healthz", get(async || "ok\n"))
        .route("/robots.txt", get(async || "User-agent: *\nDisallow: /\n"))
        .fallback(async || Problem::NotFound)
        .layer(from_fn_with_state(Arc::clone(app), guard::own_pages_only));
    around(app, routes)
}

/// What holds for every answer.
fn around(app: &Arc<App>, routes: Router<Arc<App>>) -> Router {
    routes
        .layer(from_fn(guard::error_pages))
        .layer(from_fn_with_state(Arc::clone(app), guard::headers))
        .layer(from_fn(guard::access_log))
        .with_state(Arc::clone(app))
}

/// The page groups.
fn pages() -> Router<Arc<App>> {
    Router::new()
        .merge(pages::mail::routes())
        .merge(pages::compose::routes())
        .merge(pages::settings::routes())
        .merge(crate::remote::routes())
        .merge(pages::sign_in::routes())
        .merge(pages::account::routes())
}

/// What port 80 answers: challenges, health, and the way to HTTPS.
pub(crate) fn plain(app: &Arc<App>) -> Router {
    let routes = Router::new()
        .route("/.well-known/acme-challenge/{token}", get(names::challenge::answer))
        .route("/healthz", get(async || "ok\n"))
        .fallback(to_https);
    around(app, routes)
}

/// The same address by HTTPS. 308 keeps the method. The name is one of ours, not what the client says.
async fn to_https(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let configuration = &app.configuration;
    let site = Site::of(configuration, request.uri(), request.headers());
    let host = match site.ok_or(Problem::Misdirected)? {
        Site::Main | Site::Address => configuration.host.clone(),
        Site::MtaSts(domain) => format!("mta-sts.{domain}"),
        Site::SetUp(domain) => format!("autoconfig.{domain}"),
    };
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    Ok(Redirect::permanent(&format!("https://{host}{path}")).into_response())
}

async fn home() -> Response {
    Redirect::to("/mail").into_response()
}
