// match: does a pattern fit the values that end in one node? A Match holds what each Pat stands
// for; it is filled only on success and borrows nodes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fxq/passes/pattern.h"

namespace fxq {

struct Match {
  Node* root = nullptr;
  std::vector<std::pair<const PatNode*, Node*>> bound;

  Node* at(const Pat& pattern) const;  // nullptr if the pattern is not part of it
  // The calls of the match: root first, operands after their users.
  std::vector<Node*> calls() const;
  // The one call that pat::Activation stands for; nullptr if there is none.
  Node* activation() const;
};

std::optional<Match> match(const GraphModule& gm, const Pat& pattern, Node* root);

// Why a pattern does not fit although its ops do ("%c has 2 users"); "" if the ops differ too.
std::string explain_mismatch(const GraphModule& gm, const Pat& pattern, Node* root);

}  // namespace fxq
