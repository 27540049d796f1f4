/** Name of a member: a lower-case letter followed by letters, digits; n1, n2, … by default. Part of application_name, so kept short. */
export type MemberId = string;
