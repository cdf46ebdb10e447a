// Walks all rows of the op table: what a row says must agree with LibTorch's schemas.
#include <ATen/core/function_schema.h>
#include <gtest/gtest.h>

#include <set>

#include "fxq/graph/graph.h"

namespace fxq {
namespace {

std::set<std::string> argument_names(const c10::FunctionSchema& schema) {
  std::set<std::string> names;
  for (const c10::Argument& argument : schema.arguments()) names.insert(argument.name());
  return names;
}

TEST(OpTableTest, NamesOverloadsAndModulesBelongToOneRow) {
  std::set<std::string_view> names, overloads, modules;
  for (const OpDef& row : op_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    for (std::string_view overload : row.overloads) {
      EXPECT_TRUE(overloads.insert(overload).second) << overload;
      EXPECT_EQ(op_from_overload(overload), row.id) << overload;
    }
    for (std::string_view type : row.module_types) {
      EXPECT_TRUE(modules.insert(type).second) << type;
      EXPECT_EQ(op_from_module_type(type), row.id) << type;
    }
    EXPECT_EQ(op_from_name(row.name), row.id);
    EXPECT_EQ(&op_def(row.id), &row);
    EXPECT_FALSE(row.overloads.empty() && row.module_types.empty()) << row.name;
  }
}

TEST(OpTableTest, CanonicalSchemasExist) {
  for (const OpDef& row : op_table()) {
    if (row.overloads.empty()) continue;  // a class only: its leaf stays float and opaque
    const std::string_view library = row.overloads[0].substr(0, row.overloads[0].find("::"));
    if (library == "torchvision") continue;  // known once its library is loaded
    const Callee callee = find_callee(row.overloads[0]);
    EXPECT_EQ(callee.op, row.id) << row.name;
    EXPECT_NE(callee.schema, nullptr) << row.overloads[0];
    EXPECT_EQ(callee.schema, canonical_schema(row.id)) << row.name;
  }
}

TEST(OpTableTest, ParametersAreSchemaArguments) {
  for (const OpDef& row : op_table()) {
    const c10::FunctionSchema* schema = canonical_schema(row.id);
    if (!schema) continue;
    const auto names = argument_names(*schema);
    for (std::string_view param : row.params) {
      EXPECT_EQ(names.count(std::string(param)), 1) << row.name << " " << param;
    }
    EXPECT_EQ(is_weighted(row.id), !row.weight.empty()) << row.name;
  }
}

// (base, part, the view's other arguments) or (part, some of them).
TEST(OpTableTest, WritesIntoViewsHaveAnInverse) {
  int views = 0;
  for (const OpDef& row : op_table()) {
    if (row.written_back_by.empty() && row.undone_by.empty()) continue;
    ++views;
    EXPECT_TRUE(row.written_back_by.empty() || row.undone_by.empty()) << row.name;
    const c10::FunctionSchema* view = canonical_schema(row.id);
    const bool takes_base = row.undone_by.empty();
    const Callee inverse = find_callee(takes_base ? row.written_back_by : row.undone_by);
    ASSERT_NE(inverse.schema, nullptr) << row.name;
    EXPECT_EQ(inverse.schema->arguments().size(), view->arguments().size() + (takes_base ? 1 : 0))
        << row.name;
  }
  EXPECT_EQ(views, 8);
}

TEST(OpTableTest, FlagsFitTheSchema) {
  for (const OpDef& row : op_table()) {
    const c10::FunctionSchema* schema = canonical_schema(row.id);
    if (!schema) continue;
    const bool writes = schema->is_mutable() && !is_own(*schema);  // assign says so itself
    EXPECT_FALSE(writes) << row.name << ": in-place forms are derived, not rows";
    if (row.commutes) {
      ASSERT_GE(schema->arguments().size(), 2) << row.name;
      EXPECT_EQ(*schema->arguments()[0].type(), *schema->arguments()[1].type()) << row.name;
    }
    // The interpreter calls an activation with the value alone.
    if (row.is_activation) {
      EXPECT_EQ(schema->arguments().size(), 1) << row.name;
      EXPECT_TRUE(row.rule == Rule::kSharesInput) << row.name;
    }
  }
}

}  // namespace
}  // namespace fxq
