//! Runs the health check of Argo CD as Argo CD does: Lua 5.1, no library but base (Argo CD also opens `package`,
//! `table` and a harmless `os`, but neither `string` nor `io`), the object in the global `obj`.

use mlua::{Lua, LuaOptions, StdLib, Table, Value as LuaValue};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub status: String,
    pub message: String,
}

/// As Argo CD passes objects to Lua: all numbers are floats, and a null is nothing, in lists too.
fn to_lua(lua: &Lua, value: &Value) -> LuaValue {
    match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(number) => LuaValue::Number(number.as_f64().unwrap()),
        Value::String(text) => LuaValue::String(lua.create_string(text).unwrap()),
        Value::Array(items) => {
            let items = items.iter().filter(|item| !item.is_null()).map(|item| to_lua(lua, item));
            LuaValue::Table(lua.create_sequence_from(items).unwrap())
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (key.as_str(), to_lua(lua, field)));
            LuaValue::Table(lua.create_table_from(fields).unwrap())
        }
    }
}

/// The result for one object. A script that fails, or returns a value that Argo CD would not accept, fails the test.
pub fn judge(object: &Value) -> Health {
    let lua = Lua::new_with(StdLib::NONE, LuaOptions::default()).unwrap();
    for library in ["string", "table", "os", "io", "math", "debug"] {
        assert!(lua.globals().get::<LuaValue>(library).unwrap().is_nil(), "{library} is there");
    }
    lua.globals().set("obj", to_lua(&lua, object)).unwrap();
    let table: Table =
        lua.load(super::read("argocd-health.lua")).eval().unwrap_or_else(|error| panic!("{error}\nfor {object:#}"));
    let health = Health { status: table.get("status").unwrap(), message: table.get("message").unwrap() };
    let known = ["Healthy", "Progressing", "Suspended", "Degraded"];
    assert!(known.contains(&health.status.as_str()), "Argo CD does not know {health:?}");
    assert!(!health.message.is_empty(), "{health:?} does not say why, for {object:#}");
    health
}

/// An object of this generation with this status.
pub fn object(generation: i64, status: &Value) -> Value {
    json!({"metadata": {"name": "request", "generation": generation}, "status": status})
}
