//! Templates, and what may stand in them.

use std::collections::BTreeSet;

use handlebars::template::{HelperTemplate, Parameter, Template, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, JsonTruthy as _, Output, RenderContext,
    RenderError, RenderErrorReason, Renderable as _, ScopedJson,
};
use serde::Serialize;
use serde_json::Value;

use crate::languages;

/// Writes a value in a language; `None` where the language has no notation for it.
pub type Serializer = fn(&Value) -> Option<String>;

/// Parts of a template that are there several times or not always.
const BLOCKS: [&str; 2] = ["each", "if"];

/// A template that can't be rendered: a defect of whoever wrote it, which a test finds.
#[derive(Debug, thiserror::Error)]
pub enum BadTemplate {
    /// It is no template.
    #[error("the template can't be read: {0}")]
    Syntax(#[from] Box<handlebars::TemplateError>),
    /// A value without a serializer, or something that templates here do not have.
    #[error("`{0}` in a template is not a serializer with what it writes; expected one of {1}")]
    Bare(String, String),
    /// A fact is missing, or its serializer has no notation for it.
    #[error("the template can't be rendered: {0}")]
    Render(#[from] Box<RenderError>),
}

/// Renders templates.
#[derive(Debug)]
pub struct Templates {
    engine: Handlebars<'static>,
    serializers: BTreeSet<&'static str>,
}

impl Default for Templates {
    fn default() -> Self {
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(handlebars::no_escape);
        engine.register_helper("if", Box::new(If));
        Self { engine, serializers: BTreeSet::new() }
            .with("text", languages::text)
            .with("shell", languages::shell)
            .with("hcl", languages::hcl)
            .with("toml", languages::toml)
    }
}

impl Templates {
    /// The same with one more serializer.
    #[must_use]
    pub fn with(mut self, name: &'static str, write: Serializer) -> Self {
        self.engine.register_helper(name, Box::new(Writer { name, write }));
        self.serializers.insert(name);
        self
    }

    /// The text of a template.
    ///
    /// # Errors
    /// [`BadTemplate`] when it names what is not among the facts, or a value without a serializer.
    pub fn render(&self, template: &str, facts: &impl Serialize) -> Result<String, BadTemplate> {
        let template = Template::compile(template).map_err(Box::new)?;
        self.check(&template)?;
        let context = Context::wraps(facts).map_err(Box::new)?;
        let mut out = handlebars::StringOutput::new();
        let mut state = RenderContext::new(None);
        template.render(&self.engine, &context, &mut state, &mut out).map_err(Box::new)?;
        let text = out.into_string().map_err(RenderError::from).map_err(Box::new)?;
        Ok(text)
    }

    /// Everything that is written has its serializer, also where the facts at hand do not lead.
    fn check(&self, template: &Template) -> Result<(), BadTemplate> {
        for element in &template.elements {
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(call) if self.is_written(call) => {}
                TemplateElement::HelperBlock(block) if is_block(block) => {
                    let inner = block.template.iter().chain(&block.inverse);
                    inner.into_iter().try_for_each(|inner| self.check(inner))?;
                }
                TemplateElement::Expression(it)
                | TemplateElement::HtmlExpression(it)
                | TemplateElement::HelperBlock(it) => {
                    return Err(self.bare(it.name.as_name().unwrap_or_default()));
                }
                _ => return Err(self.bare("a partial or a decorator")),
            }
        }
        Ok(())
    }

    fn is_written(&self, call: &HelperTemplate) -> bool {
        let is_known = call.name.as_name().is_some_and(|name| self.serializers.contains(name));
        is_known && !call.params.is_empty() && takes_values(call)
    }

    fn bare(&self, what: &str) -> BadTemplate {
        let known: Vec<&str> = self.serializers.iter().copied().chain(BLOCKS).collect();
        BadTemplate::Bare(what.to_owned(), known.join(", "))
    }
}

fn is_block(block: &HelperTemplate) -> bool {
    let is_known = block.name.as_name().is_some_and(|name| BLOCKS.contains(&name));
    is_known && block.params.len() == 1 && takes_values(block)
}

fn takes_values(call: &HelperTemplate) -> bool {
    call.hash.is_empty()
        && call.params.iter().all(|it| matches!(it, Parameter::Path(_) | Parameter::Literal(_)))
}

fn missing(path: Option<&String>) -> RenderError {
    RenderErrorReason::MissingVariable(path.cloned()).into()
}

/// A serializer as a helper: one value as it is, several as one string.
struct Writer {
    name: &'static str,
    write: Serializer,
}

impl HelperDef for Writer {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        call: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        if let Some(missed) = call.params().iter().find(|it| it.is_value_missing()) {
            return Err(missing(missed.relative_path()));
        }
        let written = match call.params().as_slice() {
            [one] => (self.write)(one.value()),
            several => {
                let texts = several.iter().map(|it| languages::plain(it.value()));
                let joined = texts.collect::<Option<String>>();
                joined.and_then(|joined| (self.write)(&Value::String(joined)))
            }
        };
        let reason =
            || format!("`{}` has no notation for a value of {:?}", self.name, call.params());
        let written = written.ok_or_else(|| RenderErrorReason::Other(reason()))?;
        Ok(ScopedJson::Derived(Value::String(written)))
    }
}

/// The block `if`. That of the library takes what is missing for false.
struct If;

impl HelperDef for If {
    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        context: &'rc Context,
        state: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let condition = call.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("if", 0))?;
        if condition.is_value_missing() {
            return Err(missing(condition.relative_path()));
        }
        let chosen =
            if condition.value().is_truthy(false) { call.template() } else { call.inverse() };
        chosen.map_or(Ok(()), |chosen| chosen.render(engine, context, state, out))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_by_serializers() {
        let facts = json!({"name": "it's", "size": 12, "list": [{"x": "a b"}], "no": false});
        for (template, text) in [
            ("a {b} $c {{shell name}}", "a {b} $c 'it'\\''s'"),
            ("{{shell \"{size=\" size \"}\"}}", "'{size=12}'"),
            ("{{hcl size}} {{hcl \"a-\" size}}", "12 \"a-12\""),
            ("{{#each list}}\n- {{shell x}} {{text ../size}}\n{{/each}}\n.", "- 'a b' 12\n."),
            ("{{#if no}}{{text name}}{{else}}none{{/if}}", "none"),
            ("{{! a remark }}<{{text name}}>&", "<it's>&"),
        ] {
            assert_eq!(Templates::default().render(template, &facts).unwrap(), text);
        }
    }

    #[test]
    fn what_is_bare_or_missing_is_refused() {
        let facts = json!({"name": "x", "no": false, "none": null, "table": {"a": 1}, "shell": 1});
        for (template, reason) in [
            ("{{name}}", "`name`"),
            ("{{{name}}}", "`name`"),
            ("{{& name}}", "`name`"),
            ("{{shell}}", "`shell`"),
            // Also where the facts do not lead.
            ("{{#if no}}{{name}}{{/if}}", "`name`"),
            ("{{#if name}}x{{else}}{{name}}{{/if}}", "`name`"),
            ("{{html name}}", "`html`"),
            ("{{lookup table \"a\"}}", "`lookup`"),
            ("{{#with table}}{{text a}}{{/with}}", "`with`"),
            ("{{shell (text name)}}", "`shell`"),
            ("{{> other}}", "a partial"),
            ("{{text nothing}}", "nothing"),
            ("{{text \"a\" nothing}}", "nothing"),
            ("{{#if nothing}}{{/if}}", "nothing"),
            ("{{#each nothing}}{{/each}}", "nothing"),
            ("{{text none}}", "no notation"),
            ("{{text \"a\" table}}", "no notation"),
            ("{{#if name}}", "can't be read"),
        ] {
            let error = Templates::default().render(template, &facts).unwrap_err().to_string();
            assert!(error.contains(reason), "{template}: {error}");
        }
    }
}
